"""The same records as `stores.redis`, for an event loop."""

import asyncio
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import redis.exceptions

from queues.idempotency.state import Answer, Operation, Record, replicas_wanted
from queues.idempotency.store import WORKER_SEEN_WITHIN_MS, AsyncStore, WorkerInfo
from queues.redis_url import Topology, read
from queues.stores import scripts
from queues.stores.connection import check_url, closed, connected_async, translated
from queues.stores.redis import RedisStore, worker_infos
from queues.stores.scripts import Call, Keys
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
        if replicas_wanted(operation):
            return await self._threaded.apply(digest, operation)
        return scripts.answer(await self._run(scripts.call(self.keys, digest, operation)))

    async def apply_many(self, requests: Sequence[tuple[str, Operation]]) -> list[Answer]:
        """The answers to several operations, in order, in one round trip."""
        if any(replicas_wanted(operation) for _, operation in requests):
            return await self._threaded.apply_many(requests)
        calls = [scripts.call(self.keys, digest, operation) for digest, operation in requests]
        if not calls:
            return []
        with translated():
            replies = await self._run_many(calls)
            missing = [i for i, r in enumerate(replies) if isinstance(r, redis.exceptions.NoScriptError)]
            if missing:
                await self._load()
                for i, reply in zip(missing, await self._run_many([calls[i] for i in missing]), strict=True):
                    replies[i] = reply
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
        return [scripts.answer(reply) for reply in replies]

    async def read(self, digest: str) -> Record | None:
        """The record; None if there is none."""
        return scripts.record(await self._run(scripts.reading(self.keys, digest)))

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

    async def _run_many(self, calls: Sequence[Call]) -> list[Any]:
        pipe = self._client.pipeline(transaction=False)
        for call in calls:
            pipe.execute_command(*call.command)
        return list(await pipe.execute(raise_on_error=False))

    async def _load(self) -> None:
        # All of them: a server that knew only some would carry out a pipeline in another order.
        for source in scripts.sources():
            await self._client.script_load(source)
