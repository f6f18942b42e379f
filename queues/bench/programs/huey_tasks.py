"""huey: a list in Redis, worker processes, no results."""

import os
import sys
from typing import Any

import work
from huey import RedisHuey

huey = RedisHuey("bench", url=os.environ["BENCH_REDIS_URL"], results=False)
TASKS: dict[str, Any] = {kind: huey.task(name=f"bench_{kind}")(function) for kind, function in work.WORK.items()}


def send(kind: str, numbers: range) -> None:
    """A call, one after another."""
    submit = TASKS[kind]
    for number in numbers:
        submit(*work.arguments(kind, number))


def worker(concurrency: int) -> list[str]:
    """Its own command."""
    options = ["-w", str(concurrency), "-k", "process", "--no-periodic", "--quiet"]
    return [sys.executable, "-m", "huey.bin.huey_consumer", "huey_tasks.huey", *options]
