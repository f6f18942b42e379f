"""celery-singleton: a lock in Redis while a task is queued or runs; a repetition gets the result of the first."""

import os
from typing import Any

import celery_command
import celery_delay
import work
from celery import Celery
from celery_singleton import Singleton

app = Celery("bench", broker=os.environ["BENCH_BROKER_URL"])
app.conf.update(
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    task_default_queue=os.environ["BENCH_QUEUE"],
    singleton_backend_url=os.environ["BENCH_REDIS_URL"],
    singleton_lock_expiry=3600,
)
TASKS: dict[str, Any] = {
    kind: app.task(name=f"bench.{kind}", base=Singleton)(function) for kind, function in work.WORK.items()
}


def send(kind: str, numbers: range) -> None:
    """`delay`, one after another."""
    celery_delay.each(TASKS, kind, numbers)


def repeat(kind: str, number: int, count: int) -> None:
    """`delay`, of the same arguments."""
    celery_delay.again(TASKS, kind, number, count)


def worker(concurrency: int) -> list[str]:
    """Celery's own command."""
    command: list[str] = celery_command.worker("celery_singleton_tasks", concurrency)
    return command
