"""arq: coroutines, one process a worker, so two of them; it is told to poll often and to keep no results."""

import os
import sys
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

import arq
import looped
import work
import work_async
from arq.connections import RedisSettings

SETTINGS = RedisSettings.from_dsn(os.environ["BENCH_REDIS_URL"])


def _declared(kind: str) -> Any:
    function = work_async.WORK[kind]

    async def run(_: object, *arguments: object) -> None:
        await function(*arguments)

    return arq.func(run, name=kind)


class WorkerSettings:
    """What arq's command reads."""

    redis_settings = SETTINGS
    functions = tuple(map(_declared, work_async.WORK))
    max_jobs = 100
    poll_delay = 0.01
    keep_result = 0


@cache
def _pool() -> Any:
    return looped.run(arq.create_pool(SETTINGS))


def _submitting(kind: str) -> Callable[[int], Awaitable[object]]:
    enqueue = _pool().enqueue_job
    return lambda number: enqueue(kind, *work.arguments(kind, number))


def send(kind: str, numbers: range) -> None:
    """`enqueue_job`, one after another."""
    looped.run(looped.one_by_one(_submitting(kind), numbers))


def send_many(kind: str, numbers: range) -> None:
    """`enqueue_job`, a hundred at the same time."""
    looped.run(looped.at_once(_submitting(kind), numbers))


def worker(concurrency: int) -> list[str]:
    """Its own command, once for each core."""
    several = [sys.executable, str(Path(__file__).with_name("several.py")), str(concurrency)]
    return [*several, sys.executable, "-m", "arq", "arq_tasks.WorkerSettings"]
