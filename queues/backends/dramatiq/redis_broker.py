"""Dramatiq's Redis broker, with consumers that go past a message that cannot be read."""

import logging

from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import DecodeError

logger = logging.getLogger(__name__)


class GarbageProofConsumer(_RedisConsumer):
    """Drops what it cannot decode.

    Dramatiq's own consumer ends there, and with it the messages that it had fetched in the same step: they stay
    unacked, and undone, as long as the worker lives. The dropped bytes stay unacked in Redis, for a person.
    """

    def __next__(self) -> MessageProxy | None:
        try:
            message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call] # dramatiq
        except DecodeError:
            logger.exception("A message on %r cannot be read.", self.queue_name)
            return None
        return message


class GarbageProofRedisBroker(RedisBroker):
    """A Redis broker whose consumers are garbage-proof."""

    @property
    def consumer_class(self) -> type[GarbageProofConsumer]:
        """What reads a queue."""
        return GarbageProofConsumer
