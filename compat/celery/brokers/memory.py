"""Dramatiq's broker in memory, for `memory://`: what a project's tests use, with the worker in their own process."""

import queue
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.brokers.stub import StubBroker, _StubConsumer

from compat.celery.brokers.depth import Depth

UNLIMITED_MESSAGES = 65_535


class MemoryConsumer(_StubConsumer):
    """Reads one queue of this process."""

    window: Any = None
    redelivers = False

    def settled(self) -> None:
        """Nothing is counted."""

    def ack_all(self, messages: Iterable[MessageProxy]) -> None:
        """The messages are done."""
        for message in messages:
            self.ack(message)  # type: ignore[no-untyped-call] # dramatiq

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Give messages back; they are delivered again."""
        for message in messages:
            self.queue.put(b" " + message.encode())
            self.ack(message)  # type: ignore[no-untyped-call] # dramatiq

    def __next__(self) -> MessageProxy | None:
        try:
            data = self.queue.get(timeout=self.timeout / 1000)
        except queue.Empty:
            return None
        message: Any = MessageProxy(dramatiq.Message.decode(data))
        message.redelivered = data.startswith(b" ")
        return message  # type: ignore[no-any-return]

    def stop(self) -> None:
        """Nothing is fetched ahead."""

    def close(self) -> None:
        """There is no connection."""

    def pump(self, wait_s: float) -> None:
        """There is nothing to keep alive."""


class MemoryQueues(StubBroker):
    """Dramatiq's broker in memory; priorities are not kept apart."""

    def queue_for(self, name: str) -> str:
        """Dramatiq's name of a Celery queue."""
        return name

    def create(self, queue_name: str) -> None:
        """Have the queue there."""
        self.declare_queue(queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 100) -> MemoryConsumer:
        """A consumer of a queue."""
        self.declare_queue(queue_name)
        return MemoryConsumer(
            self.queues[queue_name], self.dead_letters_by_queue[queue_name], UNLIMITED_MESSAGES, timeout
        )  # type: ignore[no-untyped-call] # dramatiq

    def enqueue(self, message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
        """Put a message on its queue."""
        self.declare_queue(message.queue_name)
        return super().enqueue(message, delay=delay)

    def purge(self, name: str) -> int:
        """Drop what waits in a Celery queue; returns how many messages."""
        self.declare_queue(name)
        count = int(self.queues[name].qsize())
        self.flush(name)
        return count

    def depths(self, names: Sequence[str]) -> list[Depth]:
        """How much is in each of these Celery queues."""
        queues = [self.queues.get(name) for name in names]
        return [Depth(0 if found is None else found.qsize()) for found in queues]


@cache
def in_memory() -> MemoryQueues:
    """The broker of this process, which its applications share, as they share kombu's memory."""
    return MemoryQueues(middleware=[])
