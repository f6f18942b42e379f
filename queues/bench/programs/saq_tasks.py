"""SAQ: coroutines in worker processes, no results."""

import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import looped
import redis
import work
import work_async
from saq import Queue

queue = Queue.from_url(os.environ["BENCH_REDIS_URL"])


def _declared(kind: str) -> tuple[str, Any]:
    function = work_async.WORK[kind]

    async def run(_: object, *, values: list[object]) -> None:
        await function(*values)

    return kind, run


settings = {"queue": queue, "functions": [_declared(kind) for kind in work_async.WORK], "concurrency": 100}


def _submitting(kind: str) -> Callable[[int], Awaitable[object]]:
    return lambda number: queue.enqueue(kind, values=work.arguments(kind, number), ttl=-1, timeout=600)


def send(kind: str, numbers: range) -> None:
    """`enqueue`, one after another."""
    looped.run(looped.one_by_one(_submitting(kind), numbers))


def send_many(kind: str, numbers: range) -> None:
    """`enqueue`, a hundred at the same time."""
    looped.run(looped.at_once(_submitting(kind), numbers))


def worker(concurrency: int) -> list[str]:
    """Its own command, with its sweep taken: a worker that starts into a backlog would run one task twice, 5 s later.

    It takes a task for stuck that was fetched a moment ago (0.26.4).
    """
    with redis.Redis.from_url(os.environ["BENCH_REDIS_URL"]) as client:
        client.set("saq:default:sweep", 1)
    return [sys.executable, "-m", "saq", "saq_tasks.settings", "--workers", str(concurrency)]
