"""A blocking store for an event loop: each call waits in a thread."""

import asyncio
from collections.abc import Sequence

from queues.idempotency.in_turn import AsyncInTurn
from queues.idempotency.state import Answer, Operation, Record
from queues.idempotency.store import Store, WorkerInfo


class ThreadedStore:
    """What a producer needs of a store, without blocking its loop."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def apply(self, digest: str, operation: Operation) -> Answer:
        """The answer to one operation."""
        return await asyncio.to_thread(self._store.apply, digest, operation)

    async def apply_many(self, requests: Sequence[tuple[str, Operation]]) -> list[Answer]:
        """The answers to several operations, in one round trip."""
        return await asyncio.to_thread(self._store.apply_many, requests)

    def pipeline(self) -> AsyncInTurn:
        """Takes one batch after another."""
        return AsyncInTurn(self)

    async def read(self, digest: str) -> Record | None:
        """The record; None if there is none."""
        return await asyncio.to_thread(self._store.read, digest)

    async def unfinished(self) -> int:
        """How many keys have work without an outcome."""
        return await asyncio.to_thread(self._store.unfinished)

    async def workers(self) -> list[WorkerInfo]:
        """The workers that live."""
        return await asyncio.to_thread(self._store.workers)

    async def ping(self) -> None:
        """Return if the store answers."""
        await asyncio.to_thread(self._store.ping)

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._store.close)
