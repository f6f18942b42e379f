"""The keys that this process has met. What it sent, or was told of, is most likely a repetition when it comes again."""

from queues.call import Call
from queues.idempotency.state import Look
from queues.once import REPLACING
from queues.task import AnyTask

MOST_KEYS = 4_096
"""Of one generation; there are two, some 200 bytes a key."""
LOOKS = (Look(""), Look("", is_ended=True))
"""Of work that its arguments name, as most is."""


class KnownKeys:
    """Keys, and whether their work had ended; those that were met last, as the oldest generation makes room.

    It needs no lock: each step is one of a dict, and of two threads that end a generation at once, one may forget a few
    keys. A key that is forgotten costs a longer way to the same answer.
    """

    def __init__(self, most_keys: int = MOST_KEYS) -> None:
        self._most_keys = most_keys
        self._young: dict[str, bool] = {}
        self._old: dict[str, bool] = {}

    def add(self, digest: str, *, is_ended: bool) -> None:
        """Remember a key."""
        young = self._young
        young[digest] = is_ended
        if len(young) >= self._most_keys:
            self._old, self._young = young, {}

    def look(self, task: AnyTask, call: Call, digest: str, fingerprint: str) -> Look | None:
        """What may answer the call without its message; None where the work is new, or more is to be asked for."""
        is_ended = self._young.get(digest)
        if is_ended is None:
            is_ended = self._old.get(digest)
            if is_ended is None:
                return None
        policy = task.policy
        if policy.replicas or not (is_ended or policy.on_duplicate not in REPLACING):
            return None
        if call.eta is not None or call.expires is not None:
            return None  # which may be refused
        return Look(fingerprint, is_ended) if fingerprint else LOOKS[is_ended]
