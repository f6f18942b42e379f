"""Tasks with limits, and tasks that say what reaches them from outside; for `onceq_program`."""

import asyncio
import ctypes
import hashlib
import re
import socket
import time
from collections.abc import Callable

import redis

from queues import Backoff, Concurrency, Once, Retry, Tasks, current, errors

Mark = Callable[[str, str], None]
Ledger = Callable[[], redis.Redis]


def declare(tasks: Tasks, mark: Mark, ledger: Ledger, lease_s: float) -> None:
    """Add these tasks to the program's."""
    once = Once(lease=lease_s)
    _timed(tasks, mark, once)
    _timed_async(tasks, mark, once)
    _stuck(tasks, mark, once)
    _counted(tasks, mark, ledger, once)
    _stopped(tasks, mark, ledger, once)
    _telling(tasks, mark, once)


def _timed(tasks: Tasks, mark: Mark, once: Once) -> None:
    @tasks.task(queue="slow", max_retries=1, backoff=Backoff(0.1), once=once, soft_time_limit=0.6)
    def hurries(name: str, catches: bool) -> str:
        mark(name, f"attempt-{current.attempt}")
        try:
            while True:
                time.sleep(0.01)
        except errors.SoftTimeLimitError:
            mark(name, "cleaned-up")
            if not catches:
                raise
        return "half"

    @tasks.task(queue="slow", once=once, time_limit=0.6)
    def overruns(name: str) -> None:
        mark(name, "ran")
        while True:
            time.sleep(0.01)


def _timed_async(tasks: Tasks, mark: Mark, once: Once) -> None:
    @tasks.task(queue="slow", max_retries=1, backoff=Backoff(0.1), once=once, soft_time_limit=0.6)
    async def hurries_async(name: str, catches: bool) -> str:
        mark(name, f"attempt-{current.attempt}")
        try:
            await asyncio.sleep(600)
        except errors.SoftTimeLimitError:
            await asyncio.sleep(0.01)
            mark(name, "cleaned-up")
            if not catches:
                raise
        return "half"

    @tasks.task(queue="slow", once=once, time_limit=0.6)
    async def overruns_async(name: str) -> None:
        mark(name, "ran")
        await asyncio.sleep(600)


def _stuck(tasks: Tasks, mark: Mark, once: Once) -> None:
    @tasks.task(queue="slow", once=once, time_limit=0.6)
    def is_stuck(name: str, seconds: float) -> str:
        mark(name, "began")
        time.sleep(seconds)
        mark(name, "returned")
        return name

    @tasks.task(queue="slow", once=once, soft_time_limit=0.6)
    def sleeps(name: str, seconds: float) -> str:
        mark(name, "began")
        try:
            time.sleep(seconds)
        except errors.SoftTimeLimitError:
            return "woken"
        return "slept"

    @tasks.task(queue="slow", once=once)
    def listens(name: str) -> bytes:
        mark(name, "began")
        here, _there = socket.socketpair()
        return here.recv(1)  # nobody sends anything

    @tasks.task(queue="slow", once=once, time_limit=0.6)
    def computes(name: str) -> None:
        mark(name, "began")
        hashlib.pbkdf2_hmac("sha256", b"for", b"hours", 2**31 - 1)  # in C, and other threads run meanwhile

    @tasks.task(queue="slow", once=once, time_limit=0.6)
    def keeps_the_interpreter(name: str) -> None:
        mark(name, "began")
        re.match(r"(a|a)*b", "a" * 60)  # for years, without a break


def _counted(tasks: Tasks, mark: Mark, ledger: Ledger, once: Once) -> None:
    @tasks.task(queue="fast", once=once, rate_limit="5/s")
    def is_rated(name: str, number: int) -> int:
        mark(name, f"at-{milliseconds(ledger())}")
        return number

    @tasks.task(queue="slow", once=once, concurrency=Concurrency(2, per="owner"))
    def shares(name: str, owner: str, number: int, seconds: float) -> int:
        mark(f"{name}-{owner}", "in")
        time.sleep(seconds)
        mark(f"{name}-{owner}", "out")
        return number

    @tasks.task(queue="slow", once=once, concurrency=1)
    def holds_slot_and_interpreter(name: str, number: int, seconds: int) -> int:
        mark(name, "in")
        if seconds:
            ctypes.PyDLL(None).sleep(seconds)  # without letting go of the interpreter lock
        mark(name, "out")
        return number


def _stopped(tasks: Tasks, mark: Mark, ledger: Ledger, once: Once) -> None:
    @tasks.task(queue="slow", once=once)
    def never_asks(name: str) -> str:
        if ledger().exists(f"program:effects:{name}"):
            return "run again"
        mark(name, "began")
        try:
            while True:
                time.sleep(0.01)
        except BaseException:
            mark(name, "stopped")
            raise

    @tasks.task(queue="slow", once=once)
    async def never_asks_async(name: str) -> str:
        if ledger().exists(f"program:effects:{name}"):
            return "run again"
        mark(name, "began")
        try:
            await asyncio.sleep(600)
        except BaseException:
            mark(name, "stopped")
            raise

    @tasks.task(queue="slow", once=once)
    def asks(name: str) -> None:
        mark(name, "began")
        try:
            while True:
                time.sleep(0.01)
                current.check()
        finally:
            mark(name, f"cancelled-{current.is_cancelled}")


def _telling(tasks: Tasks, mark: Mark, once: Once) -> None:
    @tasks.task(queue="fast", max_retries=1, once=once)
    def tells(name: str) -> dict[str, object]:
        said = said_by_current()
        mark(name, str(said["subkeys"][0]))
        if current.attempt == 1:
            raise Retry(delay=0.1)
        return said

    @tasks.task(queue="fast", max_retries=1, once=once)
    async def tells_async(name: str) -> dict[str, object]:
        await asyncio.sleep(0)
        said = said_by_current()
        mark(name, str(said["subkeys"][0]))
        if current.attempt == 1:
            raise Retry(delay=0.1)
        return said


def said_by_current() -> dict[str, object]:
    """What `current` says in the task that calls this."""
    current.check()
    current.progress(1, 2, "half way")
    return {
        "token": current.token,
        "attempt": current.attempt,
        "message_id": current.message_id,
        "subkeys": [current.subkey("a"), current.subkey("a"), current.subkey("b")],
        "is_cancelled": current.is_cancelled,
    }


def milliseconds(server: redis.Redis) -> int:
    """The clock of the server."""
    seconds, microseconds = server.time()
    return seconds * 1000 + microseconds // 1000
