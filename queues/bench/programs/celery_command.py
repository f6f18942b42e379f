"""The command line of a Celery worker."""

import os
import sys


def worker(module: str, concurrency: int) -> list[str]:
    """A worker of the pool that BENCH_POOL names, with nothing that a benchmark does not need."""
    pool = os.environ.get("BENCH_POOL", "prefork")
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR"]
    return [sys.executable, "-m", "celery", "-A", module, "worker", "-P", pool, "-c", str(concurrency), *quiet]
