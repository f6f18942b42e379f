"""What the tasks do, the same for every contender."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import ledger
import redis

CPU_MS = 1
SLEEP_S = 0.01
LARGE_CHARS = 100_000
COUNTER = "bench:count"
HOLD_AT_MOST_S = 60.0
LOOK_EVERY_S = 0.01
_local = threading.local()


def noop(number: int) -> int:
    """Nothing."""
    ledger.note(number)
    return number


def void(number: int) -> None:
    """Nothing, and nothing comes of it."""
    ledger.note(number)


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


def where(number: int) -> int:
    """Its effect is the process group that it runs in, below zero."""
    ledger.note(-os.getpgid(0))
    return number


def hold(number: int) -> int:
    """Its effects are its number and its process group; it ends when its file is there."""
    ledger.note(number)
    ledger.note(-os.getpgid(0))
    deadline_s = time.monotonic() + HOLD_AT_MOST_S
    released = ledger.released_by(Path(os.environ["BENCH_LEDGER"]), number)
    while not released.exists() and time.monotonic() < deadline_s:
        time.sleep(LOOK_EVERY_S)
    return number


WORK: dict[str, Callable[..., object]] = {
    function.__name__: function for function in (noop, void, incr, cpu, sleep, large, where, hold)
}
TEXT = "x" * LARGE_CHARS


def arguments(kind: str, number: int) -> tuple[object, ...]:
    """What a task of that kind is called with."""
    return (number, TEXT) if kind == "large" else (number,)
