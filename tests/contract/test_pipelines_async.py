"""The pipeline of an event loop: each batch gets its own answers, and no other call on the line gets one of them."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from queues.errors import StoreUnavailableError
from queues.idempotency.state import Kind
from queues.stores.redis_async import async_redis_store
from tests.contract.conftest import url_of
from tests.contract.operations import admit, begin
from tests.servers import ValkeyServer

BUSY = "for i = 1, 30000000 do end return ARGV[1]"


def play(url: str, prefix: str, scenario: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        store = async_redis_store(url, prefix=prefix)
        try:
            return await scenario(store)
        finally:
            await store.close()

    return asyncio.run(run())


@pytest.mark.parametrize("server", ["valkey", "cluster"])
def test_each_batch_gets_its_own_answers(request, server, key_prefix):
    digests = [secrets.token_hex(20) for _ in range(3)]

    async def scenario(store: Any) -> list[Any]:
        async with aclosing(store.pipeline()) as pipeline:
            await pipeline.send([(digests[0], admit("m1")), (digests[1], admit("m2"))])
            await pipeline.send([(digests[0], admit("m3"))])
            first = await pipeline.receive()
            await pipeline.send([(digests[2], admit("m4")), (digests[1], begin("m2"))])
            return [first, await pipeline.receive(), await pipeline.receive()]

    told = play(url_of(request, server), key_prefix, scenario)

    assert [[(answer.kind, answer.owner) for answer in answers] for answers in told] == [
        [(Kind.ADMITTED, "m1"), (Kind.ADMITTED, "m2")],
        [(Kind.INFLIGHT, "m1")],
        [(Kind.ADMITTED, "m4"), (Kind.RUN, "m2")],
    ]


def test_a_server_that_lost_its_scripts_between_batches_answers_all(valkey, valkey_url, key_prefix):
    digests = [secrets.token_hex(20) for _ in range(4)]

    async def scenario(store: Any) -> list[Kind]:
        async with aclosing(store.pipeline()) as pipeline:
            await pipeline.send([(digests[0], admit())])
            valkey.script_flush()
            await pipeline.send([(digest, admit()) for digest in digests[1:3]])
            await pipeline.send([(digests[3], admit())])
            return [answer.kind for _ in range(3) for answer in await pipeline.receive()]

    assert play(valkey_url, key_prefix, scenario) == [Kind.ADMITTED] * 4


def test_a_batch_that_is_given_up_meets_nobody(valkey_url, key_prefix):
    digests = [secrets.token_hex(20) for _ in range(40)]

    async def scenario(store: Any) -> list[Any]:
        await store.apply(digests[0], admit("first"))
        async with aclosing(store.pipeline()) as pipeline:
            await pipeline.send([(digest, admit("late")) for digest in digests[1:20]])
            await pipeline.send([(digest, admit("later")) for digest in digests[20:]])
        return [await store.apply(digests[0], admit("other")) for _ in range(3)]

    told = play(valkey_url, key_prefix, scenario)

    assert [(answer.kind, answer.owner) for answer in told] == [(Kind.INFLIGHT, "first")] * 3


def test_one_who_is_cancelled_waiting_for_a_batch_leaves_the_others_theirs(valkey_url, key_prefix):
    digests = [secrets.token_hex(20) for _ in range(3)]

    async def waits(store: Any) -> None:
        async with aclosing(store.pipeline()) as pipeline:
            await pipeline.send([(digests[0], admit("m1")), (digests[1], admit("m2"))])
            await pipeline.receive()

    async def scenario(store: Any) -> list[Any]:
        await store.apply(digests[2], admit("first"))
        busy = asyncio.create_task(store._client.execute_command("EVAL", BUSY, 0, "x"))
        await asyncio.sleep(0.02)
        waiting = asyncio.create_task(waits(store))
        asked = asyncio.create_task(store.apply(digests[2], admit("other")))
        await asyncio.sleep(0.02)
        waiting.cancel()
        return [await asked, await store.apply(digests[0], admit("again")), await busy]

    asked, again, _ = play(valkey_url, key_prefix, scenario)

    assert (asked.kind, asked.owner) == (Kind.INFLIGHT, "first")
    # It had been sent, and is done.
    assert (again.kind, again.owner) == (Kind.INFLIGHT, "m1")


def test_a_server_that_goes_is_told_and_the_store_goes_on_when_it_is_back(tmp_path):
    digests = [secrets.token_hex(20) for _ in range(3)]

    async def scenario(store: Any) -> list[Kind]:
        await store.apply(digests[0], admit())
        await asyncio.to_thread(server.kill)
        async with aclosing(store.pipeline()) as pipeline:
            await pipeline.send([(digests[1], admit())])
            await pipeline.send([(digests[2], admit())])
            with pytest.raises(StoreUnavailableError):
                await pipeline.receive()
        await asyncio.to_thread(server.start)
        return [(await store.apply(digest, admit())).kind for digest in digests]

    with ValkeyServer(tmp_path, fsync="always") as server:
        kinds = play(f"{server.url}?socket_timeout=0.3", "", scenario)

    assert kinds == [Kind.ADMITTED] * 3
