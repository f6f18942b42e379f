"""How a message is published in the very step that admits it."""

from queues.lean import lean


@lean(frozen=True, slots=True)
class Publication:
    """The push that puts a message on a queue of the store's own Redis.

    Args:
        list_key: the list it goes to.
        entry: what is pushed there.
        is_left: pushed at the left end (Celery's queues), else at the right end (Dramatiq's).
        hash_key: where `payload` is stored under the field `entry`; empty when the entry is the message.
        payload: the message's bytes, where `hash_key` is set.
    """

    list_key: str
    entry: bytes
    is_left: bool
    hash_key: str = ""
    payload: bytes = b""
