"""The command line of a Celery worker."""

import os
import sys
import uuid


def worker(module: str, concurrency: int) -> list[str]:
    """A worker of the pool that BENCH_POOL names, with nothing that a benchmark does not need."""
    pool, package = os.environ.get("BENCH_POOL", "prefork"), os.environ.get("BENCH_CELERY", "celery")
    # Celery's own default, for every contender; ours is 1, with which a task of milliseconds waits for the next one.
    fetched = ["--prefetch-multiplier", "4"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR"]
    # A node's name is a queue of its own, also beside other workers of the machine.
    name = f"bench-{uuid.uuid4().hex[:8]}@%h"
    return [
        sys.executable,
        "-m",
        package,
        "-A",
        module,
        "worker",
        "-P",
        pool,
        "-c",
        str(concurrency),
        "-n",
        name,
        *fetched,
        *quiet,
    ]
