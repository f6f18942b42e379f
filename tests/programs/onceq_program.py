"""Tasks for the tests of the backends; each leaves a mark in Redis for every time it takes effect."""

import asyncio
import ctypes
import os
import threading
import time

import limited_tasks
import policy_tasks
import redis

from queues import Backoff, Once, Queue, Retry, Tasks, connect, current

LEASE_S = float(os.environ.get("PROGRAM_LEASE_S", "2"))
EFFECTS = "program:effects"

tasks = Tasks(namespace="program")
_local = threading.local()


def ledger() -> redis.Redis:
    """A connection of this process to the Redis that holds the marks."""
    if getattr(_local, "pid", None) != os.getpid():
        _local.pid = os.getpid()
        _local.client = redis.Redis.from_url(os.environ.get("MARKS_URL") or os.environ["REDIS_URL"])
    return _local.client


def mark(name: str, text: str) -> None:
    """Note that a task took effect."""
    ledger().rpush(f"{EFFECTS}:{name}", f"{text} {os.getpid()} {current.token} {current.attempt}")


@tasks.task(queue="fast", once=Once(lease=LEASE_S))
def add(a: int, b: int = 1) -> int:
    mark(f"add-{a}-{b}", "ran")
    return a + b


@tasks.task(queue="fast", once=Once(lease=LEASE_S))
def echo(name: str, value: object) -> object:
    mark(name, "ran")
    return value


@tasks.task(queue="fast", once=Once(lease=LEASE_S))
async def echo_async(name: str, value: object) -> object:
    await asyncio.sleep(0.01)
    mark(name, "ran")
    return value


@tasks.task(queue="slow", once=Once(lease=LEASE_S))
def steps(name: str, count: int, pause_s: float) -> str:
    for step in range(count):
        mark(name, f"step-{step}")
        current.progress(step + 1, count)
        time.sleep(pause_s)
        current.check()
    mark(name, "done")
    return f"{name}: {count} steps"


@tasks.task(queue="slow", once=Once(lease=LEASE_S))
async def steps_async(name: str, count: int, pause_s: float) -> str:
    for step in range(count):
        mark(name, f"step-{step}")
        await asyncio.sleep(pause_s)
    mark(name, "done")
    return f"{name}: {count} steps"


@tasks.task(queue="fast", max_retries=2, backoff=Backoff(0.1), once=Once(lease=LEASE_S))
def fails(name: str, times: int) -> str:
    mark(name, f"attempt-{current.attempt}")
    if current.attempt <= times:
        message = f"attempt {current.attempt} of {name}"
        raise ValueError(message)
    return f"succeeded in attempt {current.attempt}"


@tasks.task(queue="fast", max_retries=3, backoff=Backoff(60), once=Once(lease=LEASE_S))
def asks_again(name: str) -> int:
    mark(name, f"attempt-{current.attempt}")
    if current.attempt == 1:
        raise Retry(delay=0.2)
    return current.attempt


@tasks.task(queue="fast", backoff=Backoff(60), once=Once(lease=LEASE_S))
def waits_long(name: str) -> None:
    mark(name, f"attempt-{current.attempt}")
    raise Retry


@tasks.task(queue="fast", backoff=Backoff(3600), once=Once(lease=LEASE_S))
def waits_longer(name: str) -> int:
    mark(name, f"attempt-{current.attempt}")
    if current.attempt == 1:
        raise Retry
    return current.attempt


@tasks.task(queue="fast", once=Once(lease=LEASE_S))
def asks_later(name: str) -> int:
    mark(name, f"attempt-{current.attempt}")
    if current.attempt == 1:
        raise Retry(delay=5.5)
    return current.attempt


@tasks.task(queue="fast", expires=0.3, once=Once(lease=LEASE_S))
def perishes(name: str) -> str:
    mark(name, "ran")
    return name


@tasks.task(queue="fast", once=Once(lease=LEASE_S), give_up_on=(KeyError,))
def gives_up(name: str) -> None:
    mark(name, "ran")
    raise KeyError(name)


@tasks.task(queue="fast", once=Once(lease=LEASE_S))
def returns_unencodable(name: str) -> object:
    mark(name, "ran")
    return object()


@tasks.task(queue="slow", once=Once(lease=LEASE_S, max_lost=1))
def kills_its_worker(name: str) -> None:
    mark(name, "ran")
    os.kill(os.getpid(), 9)


@tasks.task(queue="fast", once=Once(lease=LEASE_S))
def brief(name: str, what: str) -> str:
    mark(name, "ran")
    if what == "dies":
        os.kill(os.getpid(), 9)
    if what == "spoils its record":
        digest = current.message_id.partition("-")[0]
        key = f"task_lock:{{{digest[:2]}}}:{digest}"
        ledger().delete(key)
        ledger().set(key, "of another type")
    while what == "waits" and not ledger().exists(f"go-on:{name}"):
        time.sleep(0.01)
    return what


@tasks.task(queue="fast", once=Once(lease=LEASE_S))
def looks_at(submission: str) -> str:
    with queue() as connected:
        state = connected.handle(submission).state.value
    time.sleep(0.02)  # no short task
    return state


@tasks.task(queue="fast", once=Once(lease=LEASE_S, on_duplicate="skip"))
def skips(name: str) -> str:
    mark(name, "ran")
    return name


@tasks.task(queue="fast", once=Once(lease=LEASE_S, on_duplicate="reject"))
def rejects(name: str) -> str:
    mark(name, "ran")
    return name


@tasks.task(queue="fast", once=None)
def every_time(name: str) -> str:
    mark(name, "ran")
    return name


@tasks.task(queue="fast", once=None)
def nothing(number: int) -> None:
    """Do nothing, which is what a comparison of costs wants."""


@tasks.task(queue="fast", once=Once(lease=LEASE_S, ttl=0.4))
def short_lived(name: str) -> str:
    mark(name, "ran")
    return name


@tasks.task(queue="fast", max_retries=0, once=Once(lease=LEASE_S, cache_failures=True))
def fails_for_good(name: str) -> None:
    mark(name, "ran")
    raise CodedError(name)


@tasks.task(queue="slow", once=Once(lease=LEASE_S))
def spins(name: str, seconds: float) -> str:
    mark(name, "began")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.01)
    mark(name, "done")
    return name


@tasks.task(queue="fast", once=Once(lease=LEASE_S))
def passes(gate: str, number: int) -> None:
    """Wait until the gate is open, and note who passed it."""
    while not ledger().exists(f"program:gate:{gate}"):
        time.sleep(0.02)
    mark(gate, str(number))


@tasks.task(queue="slow", once=Once(lease=LEASE_S))
def holds_the_interpreter(name: str, seconds: int) -> str:
    mark(name, "began")
    # PyDLL does not release the interpreter lock: no other thread of this process runs meanwhile.
    ctypes.PyDLL(None).sleep(seconds)
    mark(name, "done")
    return name


@tasks.task(queue="slow", once=Once(lease=10 * LEASE_S))
def kept(name: str, seconds: float) -> str:
    """As `spins`, with a lease that outlasts a failover."""
    mark(name, "began")
    time.sleep(seconds)
    mark(name, "done")
    return name


class CodedError(Exception):
    """A failure with a code for programs."""

    code = "no_such_page"


limited_tasks.declare(tasks, mark, ledger, LEASE_S)
policy_tasks.declare(tasks, mark, ledger, LEASE_S)


def queue() -> Queue:
    """The tasks on the backend that the environment names."""
    return connect(tasks)
