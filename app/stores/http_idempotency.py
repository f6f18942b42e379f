"""The first answer to each `Idempotency-Key`, kept in Redis for a day."""

import hashlib
from dataclasses import dataclass

from app.stores.redis import Call, Client, Script, new_name, together

KEPT_MS = 24 * 60 * 60 * 1000
LEASE_MS = 30_000

# KEYS[1]: the record, a hash of fingerprint, owner, lease_until, answer (absent while the first runs).
# ARGV: fingerprint, owner, lease in ms, kept in ms.
# Returns {"begun"}, {"conflict"}, {"busy", ms left} or {"replay", answer}.
# A request that died leaves its fingerprint: the next with the same payload takes over after the lease.
# The same owner is let in again: its first answer was lost on the way.
_BEGIN = """
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('HMGET', KEYS[1], 'fingerprint', 'answer', 'lease_until', 'owner')
if found[1] then
  if found[1] ~= ARGV[1] then return {'conflict'} end
  if found[2] then return {'replay', found[2]} end
  local left_ms = tonumber(found[3]) - now_ms
  if left_ms > 0 and found[4] ~= ARGV[2] then return {'busy', left_ms} end
end
local lease_until = now_ms + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'owner', ARGV[2], 'lease_until', lease_until)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {'begun'}
"""

# KEYS[1]: the record. ARGV: owner, answer, kept in ms. Returns 1, or 0 when another request has taken over.
_COMPLETE = """
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'answer', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""

# KEYS[1]: the record. ARGV: owner. Returns 1, or 0 when it is another's, or has its answer.
_RELEASE = """
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
if redis.call('HEXISTS', KEYS[1], 'answer') == 1 then return 0 end
return redis.call('DEL', KEYS[1])
"""


@dataclass(frozen=True, slots=True)
class Begun:
    """The request is the first with this key; `owner` is needed to end it."""

    record: str
    owner: str


@dataclass(frozen=True, slots=True)
class Busy:
    """The first request with this key still runs, for at most `left_ms` more."""

    left_ms: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was answered to the first request, byte for byte as it was kept."""

    answer: bytes


@dataclass(frozen=True, slots=True)
class Conflict:
    """The key was used before with another payload."""


Begin = Begun | Busy | Replayed | Conflict


class HttpIdempotencyStore:
    """Which request was first, and what it was answered. Every method is one round trip.

    Args:
        client: connected to the Redis that all API processes share.
        prefix: stands before every key.
        lease_ms: how long a request that never ends keeps others waiting.

    Raises:
        RedisUnavailableError: from every method, when Redis does not answer.
    """

    def __init__(self, client: Client, prefix: str = "", lease_ms: int = LEASE_MS) -> None:
        self._prefix = prefix
        self._lease_ms = lease_ms
        self._begin = Script(client, _BEGIN)
        self._complete = Script(client, _COMPLETE)
        self._release = Script(client, _RELEASE)

    async def begin(self, scope: tuple[str, ...], key: str, fingerprint: str) -> Begun | Busy | Replayed | Conflict:
        """Claim `key` within `scope` (tenant, principal, method, route) for a payload, or learn who has."""
        # Hashed with the length of each part, so that no two scopes run into each other.
        named = "".join(f"{len(part)}:{part}" for part in (*scope, key))
        record = f"{self._prefix}http_idempotency:{hashlib.sha256(named.encode()).hexdigest()}"
        owner = new_name()
        answer = await self._begin(keys=[record], args=[fingerprint, owner, self._lease_ms, KEPT_MS])
        match answer[0]:
            case b"begun":
                return Begun(record, owner)
            case b"busy":
                return Busy(int(answer[1]))
            case b"replay":
                return Replayed(answer[1])
            case _:
                return Conflict()

    def completing(self, begun: Begun, answer: bytes) -> Call:
        """The call that keeps the answer for a day; its reply is 0 when another request has taken over meanwhile."""
        return self._complete.call((begun.record,), (begun.owner, answer, KEPT_MS))

    async def complete(self, begun: Begun, answer: bytes) -> bool:
        """Keep the answer for a day; False when the lease was over and another request has taken over."""
        return bool((await together(self.completing(begun, answer)))[0])

    async def release(self, begun: Begun) -> None:
        """Forget a request that was not carried out, so that the same key may be used again at once."""
        await self._release(keys=[begun.record], args=[begun.owner])
