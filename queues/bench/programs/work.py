"""What the tasks do, the same for every contender."""

import os
import threading
import time
from collections.abc import Callable

import ledger
import redis

CPU_MS = 1
SLEEP_S = 0.01
LARGE_CHARS = 100_000
COUNTER = "bench:count"
_local = threading.local()


def noop(number: int) -> int:
    """Nothing."""
    ledger.note(number)
    return number


def incr(number: int) -> int:
    """One INCR in Redis."""
    if getattr(_local, "pid", None) != os.getpid():
        _local.pid = os.getpid()
        _local.client = redis.Redis.from_url(os.environ["BENCH_REDIS_URL"])
    _local.client.incr(COUNTER)
    ledger.note(number)
    return number


def cpu(number: int) -> int:
    """A millisecond of computing."""
    deadline_ns = time.thread_time_ns() + CPU_MS * 1_000_000
    while time.thread_time_ns() < deadline_ns:
        sum(range(50))
    ledger.note(number)
    return number


def sleep(number: int) -> int:
    """Ten milliseconds of waiting."""
    time.sleep(SLEEP_S)
    ledger.note(number)
    return number


def large(number: int, text: str = "") -> int:
    """Nothing, with 100 KB of arguments."""
    if len(text) != LARGE_CHARS:
        message = f"{len(text)} characters arrived"
        raise ValueError(message)
    ledger.note(number)
    return number


WORK: dict[str, Callable[..., int]] = {"noop": noop, "incr": incr, "cpu": cpu, "sleep": sleep, "large": large}
TEXT = "x" * LARGE_CHARS


def arguments(kind: str, number: int) -> tuple[object, ...]:
    """What a task of that kind is called with."""
    return (number, TEXT) if kind == "large" else (number,)
