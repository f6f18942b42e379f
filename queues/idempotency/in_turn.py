"""The pipelines of a store that takes one batch after another: each is answered before `send` returns."""

from collections import deque

from queues.idempotency.pipeline import Requests
from queues.idempotency.state import Answer
from queues.idempotency.store import AsyncStore, Store


class InTurn:
    """A `Pipeline` without overlap."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._answered: deque[list[Answer]] = deque()

    def send(self, requests: Requests) -> None:
        """Have a batch answered."""
        is_one = len(requests) == 1
        self._answered.append([self._store.apply(*requests[0])] if is_one else self._store.apply_many(requests))

    def receive(self) -> list[Answer]:
        """The answers to the oldest batch."""
        return self._answered.popleft()

    def close(self) -> None:
        """Nothing is under way."""


class AsyncInTurn:
    """As `InTurn`, for an event loop."""

    def __init__(self, store: AsyncStore) -> None:
        self._store = store
        self._answered: deque[list[Answer]] = deque()

    async def send(self, requests: Requests) -> None:
        """Have a batch answered."""
        is_one = len(requests) == 1
        store = self._store
        self._answered.append([await store.apply(*requests[0])] if is_one else await store.apply_many(requests))

    async def receive(self) -> list[Answer]:
        """The answers to the oldest batch."""
        return self._answered.popleft()

    async def aclose(self) -> None:
        """Nothing is under way."""
