"""The library, on the backend that BENCH_BACKEND names.

BENCH_ONCE=none runs every message; BENCH_LEASE_S is the lease; BENCH_THREADS are those of a Dramatiq process.
"""

import os
import sys
from typing import Any

import celery_command
import copies
import work

from queues import Once, Queue, Tasks, connect

BACKEND = os.environ["BENCH_BACKEND"]
IS_BARE = os.environ.get("BENCH_ONCE") == "none"
ONCE = None if IS_BARE else Once(lease=float(os.environ.get("BENCH_LEASE_S", "30")))
WITHIN_S = 60

tasks = Tasks(namespace="bench")
TASKS: dict[str, Any] = {
    kind: tasks.task(name=f"bench.{kind}", queue=os.environ["BENCH_QUEUE"], once=ONCE)(function)
    for kind, function in work.WORK.items()
}
queue: Queue = connect(
    tasks,
    backend=BACKEND,
    redis_url=os.environ["BENCH_REDIS_URL"],
    broker_url=None if BACKEND == "memory" else os.environ["BENCH_BROKER_URL"],
)


def send(kind: str, numbers: range) -> None:
    """`send`, one after another."""
    submit = TASKS[kind].send
    for number in numbers:
        submit(*work.arguments(kind, number))


def send_many(kind: str, numbers: range) -> None:
    """`send_many`, of all at once."""
    TASKS[kind].send_many([work.arguments(kind, number) for number in numbers])


def _repeat(kind: str, number: int, count: int) -> None:
    submit, arguments = TASKS[kind].send, work.arguments(kind, number)
    for _ in range(count):
        submit(*arguments)


def _run(kind: str, number: int) -> None:
    TASKS[kind].send(*work.arguments(kind, number)).result(timeout=WITHIN_S)


def _join(kind: str, numbers: range) -> None:
    handles = TASKS[kind].send_many([work.arguments(kind, number) for number in numbers])
    for handle in handles:
        handle.result(timeout=WITHIN_S)


def _worker(concurrency: int) -> list[str]:
    if BACKEND == "celery":
        command: list[str] = celery_command.worker("onceq_celery", concurrency)
        return command
    # Two processes on two cores; the threads are Dramatiq's default, where none are named.
    threads = os.environ.get("BENCH_THREADS", "8")
    return [sys.executable, "-m", "dramatiq", "onceq_dramatiq:broker", "-p", str(concurrency), "-t", threads]


def _drain() -> None:
    run_pending: Any = getattr(queue.backend, "run_pending", None)
    run_pending()


if not IS_BARE:
    repeat, run, join = _repeat, _run, _join
if BACKEND == "memory":
    drain = _drain
else:
    worker, fill = _worker, copies.fill
