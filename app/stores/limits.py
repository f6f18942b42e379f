"""The two limits, kept in Redis, so that they hold over all API processes together."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.stores.redis import Client, RedisUnavailableError, Script

WINDOW_MS = 60_000
RESERVATION_MS = 30_000

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

# KEYS[1]: sorted set of reservations by their end. ARGV: reservation, its length in ms.
# Returns how many are open, this one included.
_RESERVE = """
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms)
redis.call('ZADD', KEYS[1], now_ms + tonumber(ARGV[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
"""

# KEYS[1]: as above. ARGV: reservation.
_RELEASE = "return redis.call('ZREM', KEYS[1], ARGV[1])"


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
        answer = await self._take(keys=[key], args=[self._limit, self._window_ms, secrets.token_hex(8)])
        return Allowance(bool(answer[0]), self._limit, int(answer[1]), int(answer[2]))


class TaskLimit:
    """At most `limit` unfinished tasks, however many processes submit at once.

    Each submission reserves its place first, then counts what is unfinished. Until it ends all others see it
    as a reservation, and afterwards as a task, so the sum never falls short of the truth: the limit cannot be
    passed. At its very edge one may be counted twice for a moment, and a submission refused that had room.

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
        self._key = f"{prefix}task_reservations"

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place for one submission; a process that dies gives it back after half a minute.

        Raises:
            TooManyTasksError: the limit is reached.
            RedisUnavailableError: Redis does not answer.
        """
        reservation = secrets.token_hex(8)
        reserved = int(await self._reserve(keys=[self._key], args=[reservation, RESERVATION_MS]))
        try:
            if await self._unfinished() + reserved > self._limit:
                raise TooManyTasksError(self._limit)
            yield
        finally:
            # What was submitted must not look as if it was not; the reservation ends by itself.
            with contextlib.suppress(RedisUnavailableError):
                await self._release(keys=[self._key], args=[reservation])
