"""Dramatiq's Redis broker, with consumers that outlive an unreadable message and any error of the connection."""

import logging
from collections.abc import Iterable

import redis.exceptions
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import ConnectionClosed, DecodeError

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
        except redis.exceptions.RedisError as exc:
            raise ConnectionClosed(exc) from exc  # type: ignore[no-untyped-call] # dramatiq
        return message

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Give fetched messages back; Dramatiq's thread ends at an error that is not one of its own."""
        try:
            super().requeue(messages)  # type: ignore[no-untyped-call] # dramatiq
        except redis.exceptions.RedisError as exc:
            raise ConnectionClosed(exc) from exc  # type: ignore[no-untyped-call] # dramatiq


class GarbageProofRedisBroker(RedisBroker):
    """A Redis broker whose consumers are garbage-proof."""

    @property
    def consumer_class(self) -> type[GarbageProofConsumer]:
        """What reads a queue."""
        return GarbageProofConsumer
