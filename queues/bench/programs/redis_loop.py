"""The ground: redis-py alone, one call after another."""

import os

import redis

_client = redis.Redis.from_url(os.environ["BENCH_REDIS_URL"])
_sha = str(_client.script_load("return redis.call('SET', KEYS[1], ARGV[1])"))


def send(kind: str, numbers: range) -> None:
    """An EVALSHA for each number, which sets one key."""
    for number in numbers:
        _client.evalsha(_sha, 1, f"bench:{number}", kind)


def run(kind: str, number: int) -> None:
    """The key."""
    _client.set(f"bench:{number}", kind)


def repeat(_: str, number: int, count: int) -> None:
    """A GET of the same key, again and again."""
    for _attempt in range(count):
        _client.get(f"bench:{number}")
