"""The two limits on a real Redis, also when many ask at once."""

import asyncio
import contextlib

import pytest

from app.stores.limits import RateLimit, TaskLimit, TooManyTasksError
from app.stores.redis import RedisUnavailableError, connect
from tests.integration.api.service import eventually
from tests.servers import ValkeyServer


def run(url, scenario):
    async def main():
        async with connect(url) as client:
            return await scenario(client)

    return asyncio.run(main())


def test_no_more_requests_than_the_limit_are_let_in_at_once(valkey_url, key_prefix):
    async def scenario(client):
        limit = RateLimit(client, 10, key_prefix)
        return await asyncio.gather(*(limit.take("me") for _ in range(40)))

    taken = run(valkey_url, scenario)

    assert sum(each.is_allowed for each in taken) == 10
    assert sorted(each.left for each in taken if each.is_allowed) == list(range(10))
    assert all(0 < each.reset_ms <= 60_000 for each in taken)


def test_each_principal_has_a_limit_of_its_own(valkey_url, key_prefix):
    async def scenario(client):
        limit = RateLimit(client, 1, key_prefix)
        return [(await limit.take(who)).is_allowed for who in ("me", "me", "you")]

    assert run(valkey_url, scenario) == [True, False, True]


def test_there_is_room_again_when_the_window_has_passed(valkey_url, key_prefix):
    async def scenario(client):
        limit = RateLimit(client, 1, key_prefix, window_ms=1_500)
        refused = [await limit.take("me"), await limit.take("me")][1]
        await eventually(lambda: limit.take("me"), lambda allowance: allowance.is_allowed)
        return refused

    refused = run(valkey_url, scenario)

    assert (refused.is_allowed, refused.left) == (False, 0)


@pytest.mark.parametrize("limit", [7, 200])  # one place at a time, and some at once
def test_many_submissions_at_once_never_pass_the_task_limit(valkey_url, key_prefix, limit):
    unfinished = 0
    most = 0

    async def count():
        await asyncio.sleep(0)
        return unfinished

    async def submit(places):
        nonlocal unfinished, most
        try:
            async with places.place():
                await asyncio.sleep(0.001)
                unfinished += 1
                most = max(most, unfinished)
        except TooManyTasksError:
            return False
        return True

    async def scenario(client):
        # Two processes, as far as Redis can see.
        processes = [TaskLimit(client, limit, count, key_prefix) for _ in range(2)]
        accepted = 0
        for _ in range(limit + 3):
            accepted += sum(await asyncio.gather(*(submit(processes[n % 2]) for n in range(20))))
        for process in processes:
            await process.close()
        for _ in range(20):
            accepted += await submit(processes[0])
        return accepted

    accepted = run(valkey_url, scenario)

    assert (most, accepted) == (limit, limit)


async def none_is_unfinished():
    return 0


def reserved(client, key_prefix):
    return client.zcard(f"{key_prefix}{{task_reservations}}")


def test_far_from_the_limit_places_are_reserved_together_and_given_back_in_time(valkey_url, key_prefix):
    async def scenario(client):
        places = TaskLimit(client, 640, none_is_unfinished, key_prefix)
        async with places.place(), places.place():
            held = await reserved(client, key_prefix)
        await eventually(lambda: reserved(client, key_prefix), lambda count: count == 0)
        async with places.place():
            return held, await reserved(client, key_prefix)

    assert run(valkey_url, scenario) == (10, 10)


def test_who_closes_gives_back_what_is_not_used_and_leaves_what_is(valkey_url, key_prefix):
    async def scenario(client):
        places = TaskLimit(client, 640, none_is_unfinished, key_prefix)
        async with places.place():
            await places.close()
            held = await reserved(client, key_prefix)
        await places.close()
        return held, await reserved(client, key_prefix)

    assert run(valkey_url, scenario) == (10, 0)


def test_places_that_others_reserved_count_as_taken(valkey_url, key_prefix):
    async def many():
        return 625

    async def scenario(client):
        mine, other = (TaskLimit(client, 640, many, key_prefix) for _ in range(2))
        async with mine.place(), contextlib.AsyncExitStack() as stack:
            for _ in range(5):
                await stack.enter_async_context(other.place())
            with pytest.raises(TooManyTasksError):
                await stack.enter_async_context(other.place())

    run(valkey_url, scenario)


def test_a_failed_submission_gives_its_place_back(valkey_url, key_prefix):
    async def scenario(client):
        limit = TaskLimit(client, 1, none_is_unfinished, key_prefix)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                async with limit.place():
                    raise ZeroDivisionError
        async with limit.place():
            return True

    assert run(valkey_url, scenario)


def test_without_redis_nobody_is_let_in(tmp_path, key_prefix):
    with ValkeyServer(tmp_path) as server:
        url = server.url

    with pytest.raises(RedisUnavailableError):
        run(url, lambda client: RateLimit(client, 1, key_prefix).take("me"))


def test_a_restarted_redis_is_found_again(tmp_path, key_prefix):
    async def scenario(client):
        limit = RateLimit(client, 10, key_prefix)
        await limit.take("me")
        await asyncio.to_thread(server.restart)
        return (await limit.take("me")).left

    with ValkeyServer(tmp_path, fsync="always") as server:
        assert run(server.url, scenario) == 8
