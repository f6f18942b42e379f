"""Dramatiq's RabbitMQ broker, whose consumers keep what they cannot read before they refuse it."""

from collections.abc import Iterator
from typing import Any

from dramatiq.broker import MessageProxy
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer
from dramatiq.errors import DecodeError
from dramatiq.message import Message

from queues.backends.dramatiq.garbage import GarbageProof
from queues.backends.dramatiq.hooks import KnownHooks


class GarbageProofConsumer(_RabbitmqConsumer):
    """Keeps a dead letter of what it cannot decode.

    Dramatiq's own consumer moves it to the queue's `.XQ`; so does this one, once the letter is written. While it
    cannot be written, the bytes stay unacked, and come again with the next connection.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)  # type: ignore[no-untyped-call] # dramatiq
        self._unread: tuple[int, bytes] | None = None
        self.iterator = self._noted(self.iterator)

    def __next__(self) -> MessageProxy | None:
        message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call] # dramatiq
        self._unread = None
        return message

    def _noted(self, deliveries: Iterator[Any]) -> Iterator[Any]:
        for delivery in deliveries:
            method, _, body = delivery
            self._unread = (method.delivery_tag, body) if method is not None else None
            yield delivery

    def _nack(self, tag: int) -> None:
        # No worker has seen the delivery that is being read: what refuses it is the reading itself.
        if self._unread is None or self._unread[0] != tag or self._is_kept(self._unread[1]):
            super()._nack(tag)  # type: ignore[no-untyped-call] # dramatiq

    def _is_kept(self, body: bytes) -> bool:
        try:
            Message.decode(body)
        except DecodeError as exc:
            return bool(self.broker.keep(body, self.queue_name, exc.error))
        return True


class GarbageProofRabbitmqBroker(GarbageProof, KnownHooks, RabbitmqBroker):
    """A RabbitMQ broker whose consumers are garbage-proof."""

    @property
    def consumer_class(self) -> type[GarbageProofConsumer]:
        """What reads a queue."""
        return GarbageProofConsumer
