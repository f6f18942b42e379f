"""The library, on the backend that BENCH_BACKEND names."""

import os
import sys

import celery_command
import work

from queues import Queue, Tasks, connect

tasks = Tasks(namespace="bench")
TASKS = {kind: tasks.task(name=f"bench.{kind}")(function) for kind, function in work.WORK.items()}
queue: Queue = connect(
    tasks,
    backend=os.environ["BENCH_BACKEND"],
    redis_url=os.environ["BENCH_REDIS_URL"],
    broker_url=os.environ["BENCH_BROKER_URL"],
)


def send(kind: str, numbers: range) -> None:
    """`send`, one after another."""
    submit = TASKS[kind].send
    for number in numbers:
        submit(*work.arguments(kind, number))


def send_many(kind: str, numbers: range) -> None:
    """`send_many`, of all at once."""
    TASKS[kind].send_many([work.arguments(kind, number) for number in numbers])


def repeat(kind: str, number: int, count: int) -> None:
    """`send`, of the same arguments."""
    submit = TASKS[kind].send
    for _ in range(count):
        submit(*work.arguments(kind, number))


def worker(concurrency: int) -> list[str]:
    """The backend's own command."""
    if os.environ["BENCH_BACKEND"] == "celery":
        command: list[str] = celery_command.worker("onceq_celery", concurrency)
        return command
    # Two processes on two cores; the threads are Dramatiq's default.
    return [sys.executable, "-m", "dramatiq", "onceq_dramatiq:broker", "-p", str(concurrency), "-t", "8"]
