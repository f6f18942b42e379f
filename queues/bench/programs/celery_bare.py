"""Celery as it comes: early acknowledgement, its own defaults."""

import os
from typing import Any

import celery_command
import work
from celery import Celery

app = Celery("bench", broker=os.environ["BENCH_BROKER_URL"], backend=os.environ.get("BENCH_RESULT_BACKEND") or None)
app.conf.update(
    task_ignore_result=not os.environ.get("BENCH_RESULT_BACKEND"),
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=4,
)
TASKS: dict[str, Any] = {kind: app.task(name=f"bench.{kind}")(function) for kind, function in work.WORK.items()}


def send(kind: str, numbers: range) -> None:
    """`delay`, one after another."""
    delay = TASKS[kind].delay
    for number in numbers:
        delay(*work.arguments(kind, number))


def worker(concurrency: int) -> list[str]:
    """Celery's own command."""
    command: list[str] = celery_command.worker("celery_bare", concurrency)
    return command
