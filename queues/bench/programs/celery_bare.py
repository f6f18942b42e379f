"""Celery as it comes: early acknowledgement, its own defaults.

BENCH_CELERY names another package that has such a class.
"""

import importlib
import os
from typing import Any

import celery_command
import celery_delay
import work

RESULTS = os.environ.get("BENCH_RESULT_BACKEND") or None
package: Any = importlib.import_module(os.environ.get("BENCH_CELERY", "celery"))
app = package.Celery("bench", broker=os.environ["BENCH_BROKER_URL"], backend=RESULTS)
app.conf.update(
    task_ignore_result=RESULTS is None,
    broker_connection_retry_on_startup=True,
    task_default_queue=os.environ["BENCH_QUEUE"],
    worker_prefetch_multiplier=4,
)
TASKS: dict[str, Any] = {kind: app.task(name=f"bench.{kind}")(function) for kind, function in work.WORK.items()}


def send(kind: str, numbers: range) -> None:
    """`delay`, one after another."""
    celery_delay.each(TASKS, kind, numbers)


def worker(concurrency: int) -> list[str]:
    """Celery's own command."""
    command: list[str] = celery_command.worker("celery_bare", concurrency)
    return command


def _join(kind: str, numbers: range) -> None:
    group = importlib.import_module("celery").group
    group([TASKS[kind].s(*work.arguments(kind, number)) for number in numbers])().get(timeout=60)


if RESULTS is not None:
    join = _join
