"""The limits' scripts on a real server and their pure functions, side by side on one clock; and wrong edits of them."""

import random

import redis.exceptions

from queues.errors import StoreUnavailableError
from queues.limits.concurrency import Slot
from queues.stores.memory import MemoryStore
from queues.stores.redis import RedisStore
from tests.contract.operations import ManualClock

STEPS = 400
LEASE_MS = 30_000
PAUSES_MS = (*(0,) * 12, 1, 1, 1, 10, 10, 150, 250, 850, 1_000, 1_100, 1_100, LEASE_MS, LEASE_MS, 60_200, 3 * 3_600_000)
INTERVALS_US = (7, 333_333, 1_000_000, 60_000_000)

WRONG_EDITS = (
    ("rate", "now = now * 1000", "now = now * 1001"),
    ("rate", "tonumber(found[1] or 0), tonumber(found[2]", "0, tonumber(found[2]"),
    ("rate", "tonumber(found[2] or 0), ", "0, "),
    ("rate", "tonumber(found[3] or 0)", "0"),
    ("rate", "int(now - kept)", "int(now)"),
    ("rate", "redis.call('ZREMRANGEBYSCORE', places, '-inf', int(now - kept))", ""),
    ("rate", "local place = tonumber(redis.call('ZSCORE', places, id) or nil)", "local place = nil"),
    ("rate", "math.max(0, math.ceil((at - now) / 1000))", "math.max(0, math.floor((at - now) / 1000))"),
    ("rate", "place and place <= now + short", "place and place <= now"),
    ("rate", "next + interval + short <= now", "next + interval <= now"),
    ("rate", "next + interval + short <= now", "false"),
    ("rate", "(is_idle or math.max(last, again) <= now)", "(is_idle or last <= now)"),
    ("rate", "(is_idle or math.max(last, again) <= now)", "(is_idle or again <= now)"),
    ("rate", "(is_idle or math.max(last, again) <= now)", "true"),
    ("rate", "math.max(now, next)", "now"),
    ("rate", "(has_waited or is_free) and start <= now + short", "(has_waited or is_free) and start <= now"),
    ("rate", "redis.call('ZREM', places, id)", ""),
    ("rate", "next = start + interval", "next = now + interval"),
    ("rate", "again = math.max(again + interval, next)", "again = math.max(again, next)"),
    ("rate", "again = math.max(again + interval, next)", "again = again + interval"),
    ("rate", "last = math.max(last + interval, again + interval, next)", "last = math.max(last + interval, next)"),
    ("rate", "last = math.max(last + interval, again + interval, next)", "last = math.max(last, again) + interval"),
    ("rate", "redis.call('ZADD', places, int(place), id)", ""),
    ("take_slot", "if ends and ends <= now then", "if ends then"),
    ("take_slot", "if ends and ends <= now then", "if ends and ends < now then"),
    ("take_slot", "if lease_ends > now then", "if lease_ends >= now then"),
    ("take_slot", "int(lease_ends), ARGV[i])", "int(now + 1), ARGV[i])"),
    ("take_slot", "redis.call('ZREMRANGEBYSCORE', waiting, '-inf', int(now))", ""),
    ("take_slot", "redis.call('ZSCORE', slots, run) or redis", "redis"),
    ("take_slot", "redis.call('ZCARD', slots) < limit", "redis.call('ZCARD', slots) <= limit"),
    ("take_slot", "int(now + lease), run)", "int(now), run)"),
    ("take_slot", "redis.call('ZREM', waiting, digest)", ""),
    ("take_slot", " - (redis.call('ZSCORE', waiting, digest) and 1 or 0)", ""),
    ("take_slot", "(others + 1) * each", "others * each"),
    ("take_slot", "math.max(shortest, (others + 1) * each)", "(others + 1) * each"),
    ("take_slot", "'-inf', int(now))) do reply", "'-inf', int(now - 1))) do reply"),
    ("keep_slot", "if not redis.call('ZSCORE', slots, run) then return 0 end", ""),
    ("keep_slot", "now + lease), run)", "now), run)"),
)
"""Of each the script, and the text that stands once in it and is replaced."""


def first_difference(url: str, prefix: str, seed: int) -> str | None:
    """What the server said otherwise than the pure function, in a random walk; None when it never did."""
    chance, clock = random.Random(seed), ManualClock()
    store = RedisStore(url, prefix=prefix, now_ms=clock.now_ms)
    both = (MemoryStore(clock).limiter, store.limiter)
    interval_us, held = chance.choice(INTERVALS_US), [Slot("task", 2, LEASE_MS, "m0", 0)]
    try:
        for step in range(STEPS):
            clock.advance(chance.choice(PAUSES_MS))
            verified_ms = {
                f"m{n} {n % 2}": chance.choice([0, clock.now_ms(), clock.now_ms() + 5_000]) for n in range(4)
            }
            slot = Slot("task", 2, chance.choice([LEASE_MS, 1_000]), f"m{chance.randrange(14)}", chance.randrange(2))
            match chance.choice(["turn", "turn", "take", "take", "take", "keep", "free"]):
                case "turn":
                    name = f"m{chance.randrange(12)}"
                    said = [it.take_turn("task", name, interval_us) for it in both]
                case "take":
                    said = [it.take_slot(slot, verified_ms) for it in both]
                    held.append(slot)
                case "keep":
                    said = [it.keep_slots([slot, *held[-2:]]) for it in both]
                case _:
                    said = [it.free_slot(slot) for it in both]
            if said[0] != said[-1]:
                return f"step {step}: {said[1]} where {said[0]} was right"
    except (StoreUnavailableError, redis.exceptions.ResponseError) as exc:
        return f"step {step}: {exc}"
    finally:
        store.close()
    return None
