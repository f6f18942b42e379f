"""What the tasks do, for systems that run coroutines: waiting and Redis are awaited, and hold up no other task."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import cache

import ledger
import redis.asyncio
import work


@cache
def _client() -> "redis.asyncio.Redis":
    return redis.asyncio.Redis.from_url(os.environ["BENCH_REDIS_URL"])


async def noop(number: int) -> int:
    """Nothing."""
    ledger.note(number)
    return number


async def incr(number: int) -> int:
    """One INCR in Redis."""
    await _client().incr(work.COUNTER)
    ledger.note(number)
    return number


async def cpu(number: int) -> object:
    """A millisecond of computing."""
    return work.cpu(number)


async def sleep(number: int) -> int:
    """Ten milliseconds of waiting."""
    await asyncio.sleep(work.SLEEP_S)
    ledger.note(number)
    return number


async def large(number: int, text: str = "") -> object:
    """Nothing, with 100 KB of arguments."""
    return work.large(number, text)


WORK: dict[str, Callable[..., Awaitable[object]]] = {
    function.__name__: function for function in (noop, incr, cpu, sleep, large)
}
