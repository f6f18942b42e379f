"""taskiq with a list in Redis: coroutines in worker processes, no results."""

import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import looped
import work
import work_async
from taskiq_redis import ListQueueBroker

broker = ListQueueBroker(url=os.environ["BENCH_REDIS_URL"])
TASKS: dict[str, Any] = {
    kind: broker.task(task_name=f"bench.{kind}")(function) for kind, function in work_async.WORK.items()
}


def _submitting(kind: str) -> Callable[[int], Awaitable[object]]:
    kick = TASKS[kind].kiq
    return lambda number: kick(*work.arguments(kind, number))


def send(kind: str, numbers: range) -> None:
    """`kiq`, one after another."""
    looped.run(looped.one_by_one(_submitting(kind), numbers))


def send_many(kind: str, numbers: range) -> None:
    """`kiq`, a hundred at the same time."""
    looped.run(looped.at_once(_submitting(kind), numbers))


def worker(concurrency: int) -> list[str]:
    """Its own command, which uses uvloop."""
    options = ["--workers", str(concurrency), "--log-level", "ERROR"]
    return [sys.executable, "-m", "taskiq", "worker", "taskiq_tasks:broker", *options]
