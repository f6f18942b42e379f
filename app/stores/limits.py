"""The two limits, kept in Redis, so that they hold over all API processes together."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.stores.redis import Client, RedisUnavailableError, Script, new_name

WINDOW_MS = 60_000
RESERVATION_MS = 30_000
COUNTED_S = 1.0
BLOCK_S = 1.0
BLOCK_MS = 1_000
BLOCKS, MOST_PLACES = 64, 32
"""A block is this part of the limit, and no more places than these."""
REMEMBERED_MS = 3_000
"""Longer than `COUNTED_S`, by far more than the clocks of two machines drift apart meanwhile."""

# A log of the last minute's requests: exact, where fixed windows let twice the limit through around an edge.
# Refused requests are not counted, so that a client which goes on asking gets in once there is room.
# KEYS[1]: sorted set of request ids by time. ARGV: limit, window in ms, request id.
# Returns allowed (1 or 0), requests left, ms until the oldest leaves the window.
_TAKE = """
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, window_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms - window_ms)
local count = redis.call('ZCARD', KEYS[1])
local allowed = 0
if count < limit then
  redis.call('ZADD', KEYS[1], now_ms, ARGV[3])
  redis.call('PEXPIRE', KEYS[1], window_ms)
  count = count + 1
  allowed = 1
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local reset_ms = window_ms
if oldest[2] then reset_ms = tonumber(oldest[2]) + window_ms - now_ms end
return {allowed, limit - count, reset_ms}
"""

# KEYS[1]: sorted set of reservations by their end. KEYS[2]: of those that ended lately, by when they are forgotten.
# ARGV: their length in ms, reservations. Returns how many are open, these included, and how many ended lately.
_RESERVE = """
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
for _, key in ipairs(KEYS) do redis.call('ZREMRANGEBYSCORE', key, '-inf', now_ms) end
local until_ms = now_ms + tonumber(ARGV[1])
for n = 2, #ARGV do redis.call('ZADD', KEYS[1], until_ms, ARGV[n]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[2])}
"""

# KEYS: as above. ARGV: for how many ms those that were used are remembered, how many they are, reservations.
_RELEASE = """
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local until_ms = now_ms + tonumber(ARGV[1])
for n = 3, 2 + tonumber(ARGV[2]) do redis.call('ZADD', KEYS[2], until_ms, ARGV[n]) end
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return redis.call('ZREM', KEYS[1], unpack(ARGV, 3))
"""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a principal may still ask for: `left` requests now, and one more after `reset_ms`."""

    is_allowed: bool
    limit: int
    left: int
    reset_ms: int


class TooManyTasksError(Exception):
    """As many tasks are unfinished as may be; nothing was submitted."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} tasks are unfinished, which is the limit")
        self.limit = limit


class RateLimit:
    """At most `limit` requests in any minute for each principal.

    Args:
        client: connected to the Redis that all API processes share.
    """

    def __init__(self, client: Client, limit: int, prefix: str = "", window_ms: int = WINDOW_MS) -> None:
        self._take = Script(client, _TAKE)
        self._limit = limit
        self._prefix = prefix
        self._window_ms = window_ms

    async def take(self, principal: str) -> Allowance:
        """Count one request, if there is room for it.

        Raises:
            RedisUnavailableError: Redis does not answer.
        """
        key = f"{self._prefix}rate_limit:{principal}"
        answer = await self._take(keys=[key], args=[self._limit, self._window_ms, new_name()])
        return Allowance(bool(answer[0]), self._limit, int(answer[1]), int(answer[2]))


class _Block:
    """Places that this process reserved at once; each is used by one submission."""

    def __init__(self, count: int) -> None:
        self.names = [new_name() for _ in range(count)]
        self.used = self.held = 0
        self.is_given_back = False
        self._ends_s = time.monotonic() + BLOCK_S

    @property
    def has_room(self) -> bool:
        """Whether another submission may use it."""
        return self.used < len(self.names) and not self.is_given_back and time.monotonic() < self._ends_s


class TaskLimit:
    """At most `limit` unfinished tasks, however many processes submit at once.

    Each submission reserves its place first, then looks at what is unfinished. Until it ends all others see it
    as a reservation, and afterwards as a task, so the sum never falls short of the truth: the limit cannot be
    passed. At its very edge one may be counted twice for a moment, and a submission refused that had room.

    To count is dear, so that far from the limit a count serves for a second: reservations that ended since are
    remembered for longer than that, and stand for the tasks that it has not seen. Nor is each place asked for by
    itself there: a process reserves some at once, which it uses for a second at most and then gives back together.
    Until then all count as reservations; so near the limit others may be refused a few too early.

    Args:
        client: connected to the Redis that all API processes share.
        unfinished: how many tasks are queued, running or waiting for a retry now.
    """

    def __init__(
        self,
        client: Client,
        limit: int,
        unfinished: Callable[[], Awaitable[int]],
        prefix: str = "",
    ) -> None:
        self._reserve = Script(client, _RESERVE)
        self._release = Script(client, _RELEASE)
        self._limit = limit
        self._unfinished = unfinished
        # One hash slot for both, for Redis Cluster.
        self._keys = [f"{prefix}{{task_reservations}}", f"{prefix}{{task_reservations}}:ended"]
        self._counted = 0
        self._counted_at_s = -math.inf
        self._counting = asyncio.Lock()
        self._places = min(MOST_PLACES, limit // BLOCKS)
        self._block: _Block | None = None
        self._refused_at_s = -math.inf
        self._reserving = asyncio.Lock()
        self._waiting: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place for one submission; a process that dies gives it back after half a minute.

        Raises:
            TooManyTasksError: the limit is reached.
            RedisUnavailableError: Redis does not answer.
        """
        block = await self._with_room()
        block.used += 1
        block.held += 1
        try:
            yield
        finally:
            block.held -= 1
            if not block.has_room:
                await self._give_back(block)

    async def close(self) -> None:
        """Give back what is reserved and not used."""
        for waiting in self._waiting:
            waiting.cancel()
        if self._block is not None:
            await self._give_back(self._block)

    async def _with_room(self) -> _Block:
        """A block with a place for the caller, who uses it before anything else is awaited."""
        if self._block is not None and self._block.has_room:
            return self._block
        if self._places > 1 and time.monotonic() - self._refused_at_s > COUNTED_S:
            async with self._reserving:
                if self._block is None or not self._block.has_room:
                    self._block = await self._next_block()
                if self._block is not None:
                    return self._block
        return await self._reserved(1)

    async def _next_block(self) -> _Block | None:
        """Another block; None near the limit."""
        if self._block is not None:
            await self._give_back(self._block)
        try:
            block = await self._reserved(self._places)
        except TooManyTasksError:
            self._refused_at_s = time.monotonic()
            return None
        waiting = asyncio.create_task(self._give_back_in_time(block))
        self._waiting.add(waiting)
        waiting.add_done_callback(self._waiting.discard)
        return block

    async def _reserved(self, count: int) -> _Block:
        """Places that are reserved: one as long as there is any, more only where there is room beyond doubt."""
        block = _Block(count)
        opened, ended = await self._reserve(keys=self._keys, args=[RESERVATION_MS + BLOCK_MS, *block.names])
        try:
            is_free = await self._has_room(opened + ended)
            if not is_free and count == 1:
                is_free = await self._unfinished() + opened <= self._limit
        except BaseException:
            await self._give_back(block)
            raise
        if not is_free:
            await self._give_back(block)
            raise TooManyTasksError(self._limit)
        return block

    async def _give_back_in_time(self, block: _Block) -> None:
        await asyncio.sleep(BLOCK_S)
        await self._give_back(block)

    async def _give_back(self, block: _Block) -> None:
        """End the reservation, unless a place is held: whoever holds the last one does it."""
        if block.held or block.is_given_back:
            return
        block.is_given_back = True
        # What was submitted must not look as if it was not; the reservation ends by itself.
        with contextlib.suppress(RedisUnavailableError):
            await self._release(keys=self._keys, args=[REMEMBERED_MS, block.used, *block.names])

    async def _has_room(self, reserved: int) -> bool:
        """Whether there is room beyond doubt, by a count that is about a second old at most."""
        if self._age_s > COUNTED_S:
            async with self._counting:
                if self._age_s > COUNTED_S:
                    begun_s = time.monotonic()
                    self._counted = await self._unfinished()
                    self._counted_at_s = begun_s
        return self._age_s < REMEMBERED_MS / 2000 and self._counted + reserved <= self._limit

    @property
    def _age_s(self) -> float:
        return time.monotonic() - self._counted_at_s
