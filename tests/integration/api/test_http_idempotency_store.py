"""The record of `Idempotency-Key`s on a real Redis."""

import asyncio

from app.stores.http_idempotency import Begun, Busy, Conflict, HttpIdempotencyStore, Replayed
from app.stores.redis import connect
from tests.integration.api.service import eventually

SCOPE = ("tenant", "principal", "POST", "/route")


def run(url, prefix, scenario, lease_ms=30_000):
    async def main():
        async with connect(url) as client:
            return await scenario(HttpIdempotencyStore(client, prefix, lease_ms))

    return asyncio.run(main())


def test_of_many_at_once_one_begins_and_the_others_are_told_to_wait(valkey_url, key_prefix):
    async def scenario(store):
        return await asyncio.gather(*(store.begin(SCOPE, "key", "payload") for _ in range(10)))

    answers = run(valkey_url, key_prefix, scenario)

    assert [type(answer) for answer in answers].count(Begun) == 1
    assert all(0 < answer.left_ms <= 30_000 for answer in answers if isinstance(answer, Busy))


def test_the_first_answer_is_replayed_byte_for_byte(valkey_url, key_prefix):
    async def scenario(store):
        await store.complete(await store.begin(SCOPE, "key", "payload"), b"\x00answer\xff")
        return await store.begin(SCOPE, "key", "payload")

    assert run(valkey_url, key_prefix, scenario) == Replayed(b"\x00answer\xff")


def test_another_payload_is_a_conflict_before_and_after_the_answer(valkey_url, key_prefix):
    async def scenario(store):
        begun = await store.begin(SCOPE, "key", "payload")
        before = await store.begin(SCOPE, "key", "other")
        await store.complete(begun, b"answer")
        return before, await store.begin(SCOPE, "key", "other")

    assert run(valkey_url, key_prefix, scenario) == (Conflict(), Conflict())


def test_the_same_key_of_another_scope_is_another_key(valkey_url, key_prefix):
    async def scenario(store):
        scopes = [SCOPE, ("tenant", "other", *SCOPE[2:]), ("tenantp", "rincipal", *SCOPE[2:])]
        return [type(await store.begin(scope, "key", "payload")) for scope in scopes]

    assert run(valkey_url, key_prefix, scenario) == [Begun, Begun, Begun]


def test_a_released_key_may_be_used_again_at_once(valkey_url, key_prefix):
    async def scenario(store):
        await store.release(await store.begin(SCOPE, "key", "payload"))
        return await store.begin(SCOPE, "key", "other")

    assert isinstance(run(valkey_url, key_prefix, scenario), Begun)


def test_a_request_that_died_blocks_no_longer_than_its_lease_and_cannot_write_afterwards(valkey_url, key_prefix):
    async def scenario(store):
        dead = await store.begin(SCOPE, "key", "payload")
        second = await eventually(
            lambda: store.begin(SCOPE, "key", "payload"), lambda answer: isinstance(answer, Begun)
        )
        late = await store.complete(dead, b"late")
        await store.release(dead)
        await store.complete(second, b"second")
        return late, await store.begin(SCOPE, "key", "payload")

    assert run(valkey_url, key_prefix, scenario, lease_ms=500) == (False, Replayed(b"second"))


def test_after_the_lease_of_a_dead_request_another_payload_is_still_a_conflict(valkey_url, key_prefix):
    async def scenario(store):
        await store.begin(SCOPE, "key", "payload")
        await asyncio.sleep(0.01)
        return await store.begin(SCOPE, "key", "other")

    assert run(valkey_url, key_prefix, scenario, lease_ms=1) == Conflict()
