"""The same records as `stores.redis`, for an event loop."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import redis.exceptions

from queues.idempotency.in_turn import AsyncInTurn
from queues.idempotency.pipeline import AsyncPipeline
from queues.idempotency.state import Admit, Answer, Look, Operation, Record, replicas_wanted
from queues.idempotency.store import WORKER_SEEN_WITHIN_MS, AsyncStore, Filled, WorkerInfo
from queues.redis_url import Topology, read
from queues.stores import outcome, scripts
from queues.stores.bulk import Batch
from queues.stores.connection import check_url, closed, connected_async, translated
from queues.stores.redis import RedisStore, worker_infos
from queues.stores.redis_async_pipeline import AsyncRedisPipeline
from queues.stores.scripts import Call, Keys
from queues.stores.single_server_async import AsyncSingleServer
from queues.stores.stencil import Stencil
from queues.stores.threaded import ThreadedStore


def async_redis_store(url: str, *, prefix: str = "") -> AsyncStore:
    """The store of a URL for an event loop.

    That of a cluster works in threads: what is known of its nodes is then the same for both sides of a process, and so
    is what is done when one of them is away.
    """
    if read(url).topology is Topology.CLUSTER:
        return ThreadedStore(RedisStore(url, prefix=prefix))
    return AsyncRedisStore(url, prefix=prefix)


class AsyncRedisStore:
    """What a producer needs of the store, without blocking its loop.

    Args:
        url: `redis://`, `rediss://`, `unix://` or `redis+sentinel://`; for `redis+cluster://` see `async_redis_store`.
        prefix: as that of the `RedisStore`.
    """

    def __init__(self, url: str, *, prefix: str = "") -> None:
        self.keys = Keys(prefix)
        check_url(url)
        self._url = url
        self._threaded = ThreadedStore(RedisStore(url, prefix=prefix))
        # Connections belong to the loop that opened them; a process may run several loops, one after another.
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()

    async def apply(self, digest: str, operation: Operation) -> Answer:
        """The answer to one operation, as `machine.apply` states it."""
        if type(operation) is Look and operation.is_ended:
            with translated():
                reply = await self._client.execute_command(*outcome.command(self.keys, digest))
            return outcome.answer(digest, reply, operation)
        if replicas_wanted(operation):
            return await self._threaded.apply(digest, operation)
        return scripts.answer(await self._run(scripts.call(self.keys, digest, operation)))

    def stencil(
        self, digest: str, admit: Admit, marks: Sequence[str], sized: int
    ) -> Filled[Awaitable[Answer | None]] | None:
        """As that of the `RedisStore`."""
        client = self._client
        if replicas_wanted(admit) or not admit.is_plain:
            return None
        if not isinstance(client, AsyncSingleServer) or client.line is None:
            return None
        command = scripts.call(self.keys, digest, admit).command
        filled = Stencil(command, [mark.encode() for mark in marks], sized).filled

        async def carried_out(values: Sequence[bytes]) -> Answer | None:
            with translated():
                try:
                    return scripts.answer(await self._client.line.reply(filled(values)))
                except redis.exceptions.NoScriptError:
                    return None

        return carried_out

    async def apply_many(self, requests: Sequence[tuple[str, Operation]]) -> list[Answer]:
        """The answers to several operations, in order, in one round trip."""
        if any(replicas_wanted(operation) for _, operation in requests):
            return await self._threaded.apply_many(requests)
        batch = Batch(self.keys, requests, None, may_join=True)
        with translated():
            replies = await self.run_many(batch.calls)
            answers = batch.answers(await self.run_many(batch.taken(replies)))
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        return answers

    def pipeline(self) -> AsyncPipeline:
        """Takes batches; a single server works on one while the next is made."""
        client = self._client
        return AsyncRedisPipeline(self, client) if isinstance(client, AsyncSingleServer) else AsyncInTurn(self)

    async def read(self, digest: str) -> Record | None:
        """The record; None if there is none."""
        return scripts.record(digest, await self._run(scripts.reading(self.keys, digest)))

    async def unfinished(self) -> int:
        """How many keys have work that is queued, running or waiting."""
        with translated():
            pipe = self._client.pipeline(transaction=False)
            for key in self.keys.leases():
                pipe.zcard(key)
            return int(sum(await pipe.execute()))

    async def workers(self) -> list[WorkerInfo]:
        """The workers that live."""
        with translated():
            seconds, _ = await self._client.time()
            oldest_ms = int(seconds) * 1000 - WORKER_SEEN_WITHIN_MS
            found: Any = await self._client.zrangebyscore(self.keys.workers(), f"({oldest_ms}", "+inf", withscores=True)
        return worker_infos(found)

    async def ping(self) -> None:
        """Return if the server answers."""
        with translated():
            await self._client.ping()

    async def close(self) -> None:
        """Close this loop's connections."""
        await self._threaded.close()
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await closed(client)

    @property
    def _client(self) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            self._clients[loop] = connected_async(self._url)
        return self._clients[loop]

    async def _run(self, call: Call) -> Any:
        with translated():
            try:
                return await self._client.execute_command(*call.command)
            except redis.exceptions.NoScriptError:
                await self._load()
                return await self._client.execute_command(*call.command)

    async def run_many(self, calls: Sequence[Call]) -> list[Any]:
        """The replies to calls; in the place of one may stand the server's error."""
        if not calls:
            return []
        return await self.completed(calls, await self._sent(calls))

    async def completed(self, calls: Sequence[Call], replies: list[Any]) -> list[Any]:
        """The replies, with those of calls whose scripts were not known when these replies were given."""
        missing = [at for at, reply in enumerate(replies) if isinstance(reply, redis.exceptions.NoScriptError)]
        if missing:
            await self._load()
            for at, reply in zip(missing, await self._sent([calls[at] for at in missing]), strict=True):
                replies[at] = reply
        return replies

    async def _sent(self, calls: Sequence[Call]) -> list[Any]:
        commands = [call.command for call in calls]
        client = self._client
        if isinstance(client, AsyncSingleServer):
            return await client.received(commands, client.sent(commands))
        pipe = client.pipeline(transaction=False)
        for words in commands:
            pipe.execute_command(*words)
        return list(await pipe.execute(raise_on_error=False))

    async def _load(self) -> None:
        # All of them: a server that knew only some would carry out a pipeline in another order.
        for source in scripts.sources():
            await self._client.script_load(source)
