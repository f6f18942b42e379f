"""What the three-line applications note of each run, in the Redis of the test."""

import os
import threading
import time

import redis

_local = threading.local()


def client() -> redis.Redis:
    """A connection of this process and thread."""
    if getattr(_local, "pid", None) != os.getpid():
        _local.pid = os.getpid()
        _local.client = redis.Redis.from_url(os.environ["REDIS_URL"])
    return _local.client


def mark(name: str, text: str = "ran") -> int:
    """Note a run; how many notes there are now."""
    return int(client().rpush(f"native:{name}", text))


def wait_to_go_on(name: str) -> None:
    """Return when the test lets what has that name go on."""
    while not client().exists(f"go-on:{name}"):
        time.sleep(0.02)
