"""A connected queue: what `connect` returns."""

import threading
from types import TracebackType
from typing import Self

from queues.backend import Backend
from queues.dead_letters import DeadLetters
from queues.handle import Access, Decision, Handle
from queues.idempotency.key import digest_of
from queues.idempotency.letters import Letters
from queues.idempotency.store import WorkerInfo
from queues.producer import Producer
from queues.tasks import Tasks
from queues.ticker import Ticker


class Queue:
    """Tasks, the backend that carries them, and the store of their records.

    What asks the store raises StoreUnavailableError when it does not answer.

    Args:
        stopping: set by `close`, so that no thread of it goes on waiting for a server.
    """

    def __init__(
        self,
        tasks: Tasks,
        backend: Backend,
        producer: Producer,
        access: Access,
        letters: Letters,
        stopping: threading.Event,
    ) -> None:
        self.tasks = tasks
        self.backend = backend
        self.store = access.store
        self.dead_letters = DeadLetters(letters, access, tasks)
        self._async_store = access.async_store
        self._access = access
        self._stopping = stopping
        self._ticker = Ticker(tasks, self.store)
        tasks.bind(producer)

    def handle(self, message_id: str) -> Handle:
        """The work of an id that a handle showed before; no look-up is made.

        Raises:
            InvalidIdError: the text is no such id.
        """
        return Handle(self._access, message_id, digest_of(message_id), Decision.EXECUTED)

    def ping(self) -> None:
        """Return if the store answers."""
        self.store.ping()

    async def ping_async(self) -> None:
        """As `ping`, without blocking the event loop."""
        await self._async_store.ping()

    def unfinished(self) -> int:
        """How many tasks are queued, running or waiting."""
        return self.store.unfinished()

    async def unfinished_async(self) -> int:
        """As `unfinished`, without blocking the event loop."""
        return await self._async_store.unfinished()

    def workers(self) -> list[WorkerInfo]:
        """The worker processes that were seen in the last half minute."""
        return self.store.workers()

    async def workers_async(self) -> list[WorkerInfo]:
        """As `workers`, without blocking the event loop."""
        return await self._async_store.workers()

    def tick(self) -> float:
        """Submit what is due by the schedules; after how many seconds to call it again.

        Celery beat and periodiq do so by themselves. It may be called by any number of processes at once, or be
        left out for a while: each schedule says what becomes of the moments that were missed.
        """
        return self._ticker.tick()

    def close(self) -> None:
        """Close the connections of this thread's kind; handles and tasks can no longer be used."""
        self._stopping.set()
        self.backend.close()
        self.store.close()

    async def close_async(self) -> None:
        """As `close`, also for the running event loop's connections."""
        await self._async_store.close()
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
