"""Dramatiq's Redis broker, with priorities; its consumers outlive what they cannot read and a lost connection."""

from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Any

import dramatiq
import redis.exceptions
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.common import q_name
from dramatiq.errors import ConnectionClosed, DecodeError

from queues.backends.dramatiq.garbage import GarbageProof

HIGH_FROM, NORMAL_FROM = 7, 4
"""Priorities from which a message is in the first list of its queue, and in the second: as Celery's on Redis are."""


LEVELS = ("high", "", "low")
"""The lists of a queue, the most urgent first; the one without a name is Dramatiq's own."""


class GarbageProofConsumer(_RedisConsumer):
    """Keeps a dead letter of what it cannot decode, and moves it to the queue's `.XQ`, as Dramatiq does on RabbitMQ.

    Dramatiq's own consumer ends there, and with it the messages that it had fetched in the same step: they stay
    unacked, and undone, as long as the worker lives.
    """

    def __next__(self) -> MessageProxy | None:
        try:
            message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call] # dramatiq
        except DecodeError as exc:
            # What cannot be kept stays unacked in Redis, and comes again when this worker is gone.
            if self.broker.keep(exc.data, self.queue_name, exc.error):
                self._move_to_dead_letters(exc.data)
            return None
        except redis.exceptions.RedisError as exc:
            raise ConnectionClosed(exc) from exc  # type: ignore[no-untyped-call] # dramatiq
        return message

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Give fetched messages back; Dramatiq's thread ends at an error that is not one of its own."""
        levels: dict[str, list[MessageProxy]] = {}
        for message in messages:
            levels.setdefault(level_of(self.queue_name, message.options), []).append(message)
        try:
            super().requeue(levels.pop("", []))  # type: ignore[no-untyped-call] # dramatiq
            for level, fetched in levels.items():
                ids = [message.options["redis_message_id"] for message in fetched]
                self.broker.do_requeue_at(self.queue_name, level, *ids)
        except redis.exceptions.RedisError as exc:
            raise ConnectionClosed(exc) from exc  # type: ignore[no-untyped-call] # dramatiq

    def _move_to_dead_letters(self, data: bytes) -> None:
        # A fetch returns the bytes of messages, not the names under which they are stored.
        names = f"{self.broker.namespace}:__acks__.{self.broker.broker_id}.{self.queue_name}"
        try:
            for name in self.broker.client.smembers(names):
                if self.broker.client.hget(f"{self.broker.namespace}:{self.queue_name}.msgs", name) == data:
                    self.broker.do_nack(self.queue_name, name)
        except redis.exceptions.RedisError as exc:
            raise ConnectionClosed(exc) from exc  # type: ignore[no-untyped-call] # dramatiq


class GarbageProofRedisBroker(GarbageProof, RedisBroker):
    """A Redis broker whose consumers are garbage-proof, and take the messages of a high `broker_priority` first.

    That option is Dramatiq's own, for RabbitMQ: 0 to 9, higher first. A message without it goes between the two.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call] # dramatiq
        dispatch: Any = self.scripts["dispatch"].script
        self.scripts["dispatch"] = self.client.register_script(_levels() + dispatch)

    @property
    def consumer_class(self) -> type[GarbageProofConsumer]:
        """What reads a queue."""
        return GarbageProofConsumer

    def do_enqueue(self, queue_name: str, message_id: str, data: bytes) -> None:
        """Put an encoded message on the list of its priority."""
        level = level_of(queue_name, dramatiq.Message.decode(data).options)
        self._dispatch("enqueue")(queue_name, message_id, data, *filter(None, [level]))  # type: ignore[no-untyped-call] # dramatiq


def level_of(queue_name: str, options: dict[str, Any]) -> str:
    """Which of its queue's lists a message is in: `high`, `low`, or, empty, Dramatiq's own."""
    priority = options.get("broker_priority")
    # What is delayed waits in a worker, in the order of its time.
    if not isinstance(priority, int) or queue_name != q_name(queue_name) or NORMAL_FROM <= priority < HIGH_FROM:
        return ""
    return "high" if priority >= HIGH_FROM else "low"


@cache
def _levels() -> bytes:
    return (resources.files("queues.backends.dramatiq") / "levels.lua").read_bytes()
