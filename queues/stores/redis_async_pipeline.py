"""As `redis_pipeline`, for an event loop."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from queues.idempotency.in_turn import AsyncInTurn
from queues.idempotency.pipeline import Requests
from queues.idempotency.state import Answer, replicas_wanted
from queues.idempotency.store import AsyncStore
from queues.stores.bulk import Batch, Batches
from queues.stores.connection import translated
from queues.stores.scripts import Call, Keys
from queues.stores.single_server_async import AsyncSingleServer


class Runs(AsyncStore, Protocol):
    """A store that can run scripts; `redis_async.AsyncRedisStore` is the one."""

    keys: Keys

    async def run_many(self, calls: Sequence[Call]) -> list[Any]:
        """The replies to calls; in the place of one may stand the server's error."""
        ...

    async def completed(self, calls: Sequence[Call], replies: list[Any]) -> list[Any]:
        """The replies, with those of calls whose scripts were not known when these replies were given."""
        ...


class AsyncRedisPipeline:
    """The pipeline of a single server.

    Its batches take their turn among the loop's other calls, on the connection that they share: one that is given up
    leaves nothing there.

    Args:
        store: takes what replicas must have, one batch after another.
    """

    def __init__(self, store: Runs, client: AsyncSingleServer) -> None:
        self._store = store
        self._client = client
        self._batches = Batches(store.keys, lambda: None)
        self._in_turn = AsyncInTurn(store)
        self._sent: deque[tuple[Batch, asyncio.Future[list[Any]] | None] | None] = deque()

    async def send(self, requests: Requests) -> None:
        """Send a batch, or have it answered where replicas must have it."""
        if any(replicas_wanted(operation) for _, operation in requests):
            await self._in_turn.send(requests)
            self._sent.append(None)
            return
        batch = self._batches.batch(requests)
        self._sent.append((batch, self._client.sent([call.command for call in batch.calls])))
        await asyncio.sleep(0)  # for the loop to write it, before the next batch is made

    async def receive(self) -> list[Answer]:
        """The answers to the oldest batch."""
        sent = self._sent.popleft()
        if sent is None:
            return await self._in_turn.receive()
        batch, reply = sent
        with translated():
            replies = await self._client.received([call.command for call in batch.calls], reply)
            replies = await self._store.completed(batch.calls, replies)
            return self._batches.answered(batch.answers(await self._store.run_many(batch.taken(replies))))

    async def aclose(self) -> None:
        """Give up what has not been received."""
        for sent in self._sent:
            reply = sent[1] if sent is not None else None
            if reply is not None and not reply.cancel() and not reply.cancelled():
                reply.exception()  # which nobody else asks for
