"""Copies of a completed record under made-up digests: a million real runs would take most of an hour."""

import os

import redis

PART = 10_000
COPY = """
local fields = redis.call('HGETALL', KEYS[1])
local ttl = redis.call('PTTL', KEYS[1])
for number = tonumber(ARGV[1]), tonumber(ARGV[2]) - 1 do
  local digest = redis.sha1hex('a' .. number) .. string.sub(redis.sha1hex('b' .. number), 1, 24)
  local key = ARGV[3] .. '{' .. string.sub(digest, 1, 2) .. '}:' .. digest
  redis.call('HSET', key, unpack(fields))
  redis.call('PEXPIRE', key, ttl)
end
"""


def fill(count: int) -> None:
    """Copy the completed record that there is, until there are `count`.

    Raises:
        ValueError: there is none, or several kinds.
    """
    client = redis.Redis.from_url(os.environ["BENCH_REDIS_URL"], decode_responses=True)
    found = next(client.scan_iter(match="task_result:*", count=1000), None)
    if found is None:
        message = "no record is completed"
        raise ValueError(message)
    copy = client.register_script(COPY)
    for start in range(1, count, PART):
        copy([found], [start, min(start + PART, count), str(found).partition("{")[0]])
