"""celery-once: a lock in Redis while a task is queued or runs; a repetition is refused quietly."""

import os
from typing import Any

import celery_command
import celery_delay
import work
from celery import Celery
from celery_once import QueueOnce

URL = os.environ["BENCH_REDIS_URL"]
app = Celery("bench", broker=os.environ["BENCH_BROKER_URL"])
app.conf.update(
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    task_default_queue=os.environ["BENCH_QUEUE"],
    ONCE={"backend": "celery_once.backends.Redis", "settings": {"url": URL, "default_timeout": 3600}},
)
TASKS: dict[str, Any] = {
    kind: app.task(name=f"bench.{kind}", base=QueueOnce, once={"graceful": True})(function)
    for kind, function in work.WORK.items()
}


def send(kind: str, numbers: range) -> None:
    """`delay`, one after another."""
    celery_delay.each(TASKS, kind, numbers)


def repeat(kind: str, number: int, count: int) -> None:
    """`delay`, of the same arguments."""
    celery_delay.again(TASKS, kind, number, count)


def worker(concurrency: int) -> list[str]:
    """Celery's own command."""
    command: list[str] = celery_command.worker("celery_once_tasks", concurrency)
    return command
