"""RQ: a pool of workers that do not fork for each task, no results."""

import os
import sys

import redis
import rq
import work

URL = os.environ["BENCH_REDIS_URL"]
QUEUE = rq.Queue("bench", connection=redis.Redis.from_url(URL))


def send(kind: str, numbers: range) -> None:
    """`enqueue`, one after another."""
    for number in numbers:
        QUEUE.enqueue(work.WORK[kind], args=work.arguments(kind, number), result_ttl=0)


def send_many(kind: str, numbers: range) -> None:
    """`enqueue_many`, a thousand at a time."""
    for start in range(numbers.start, numbers.stop, 1000):
        part = range(start, min(start + 1000, numbers.stop))
        QUEUE.enqueue_many(
            [rq.Queue.prepare_data(work.WORK[kind], args=work.arguments(kind, n), result_ttl=0) for n in part]
        )


def worker(concurrency: int) -> list[str]:
    """Its own command; a SimpleWorker runs tasks in its own process."""
    options = ["-n", str(concurrency), "-w", "rq.worker.SimpleWorker", "-u", URL, "-q"]
    return [sys.executable, "-m", "rq.cli", "worker-pool", "bench", *options]
