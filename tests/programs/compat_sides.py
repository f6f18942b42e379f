"""What the programs of the comparison share: the application of one side, and the marks that runs leave.

`COMPAT_SIDE` says who runs the program. Marks are in a Redis list each, so that a test sees each run, also one that was
killed.
"""

import os
from functools import cache
from typing import Any

import celery
import redis

import compat.celery

SIDES = {"celery": celery.Celery, "shim": compat.celery.Celery}


def make_app(name: str, **options: Any) -> celery.Celery:
    """The application of the side that the environment names."""
    redelivery_s = int(os.environ.get("COMPAT_REDELIVERY_S", "60"))
    on_redis = {"visibility_timeout": redelivery_s, "heartbeat_timeout_ms": redelivery_s * 1000}
    broker_url = os.environ["BROKER_URL"]
    app = SIDES[os.environ.get("COMPAT_SIDE", "shim")](
        name, broker=broker_url, backend=os.environ.get("RESULTS_URL", os.environ["REDIS_URL"]), **options
    )
    app.conf.update(
        result_extended=True,
        task_track_started=True,
        accept_content=["json", "msgpack", "yaml", "pickle"],
        result_accept_content=["json", "pickle"],
        broker_connection_retry_on_startup=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # On Redis, what a dead worker held is delivered again after so long: kombu's word for it, and ours.
        dramatiq_reads_celery_queues="READS_CELERYS" in os.environ,
        broker_transport_options=on_redis if broker_url.startswith("redis") else {},
    )
    return app


@cache
def ledger() -> redis.Redis:
    """Where the marks are."""
    return redis.Redis.from_url(os.environ["REDIS_URL"])


def mark(name: str, text: object) -> int:
    """Note a run under a name; returns how many notes the name has."""
    return int(ledger().rpush(f"marks:{name}", str(text)))  # type: ignore[arg-type] # redis-py: also awaitable
