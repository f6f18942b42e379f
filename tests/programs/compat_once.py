"""The same idempotent task in an application on Celery and in one on Dramatiq; `COMPAT_SIDE` says which `app` is."""

import os
import time

import celery
import redis

import compat.celery
from queues import Once
from queues.backends.celery import IdempotentTask

ledger = redis.Redis.from_url(os.environ["REDIS_URL"])
KINDS = {"celery": celery.Celery, "shim": compat.celery.Celery}


def make(side: str) -> celery.Celery:
    """The application of one side, with its task `charge`."""
    made = KINDS[side]("compat_once", broker=os.environ["BROKER_URL"], backend=os.environ["REDIS_URL"])
    made.conf.dramatiq_reads_celery_queues = "READS_CELERYS" in os.environ

    @made.task(base=IdempotentTask, name="charge", once=Once(ttl=60, lease=3), max_retries=3, bind=True, shared=False)
    def charge(self: celery.Task, order: str, seconds: float = 0.0) -> str:
        ledger.rpush(f"marks:{order}", os.environ.get("COMPAT_SIDE", "?"))
        time.sleep(seconds)
        if order.startswith("flaky") and self.request.retries < 1:
            raise self.retry(countdown=0.1)
        return f"charged {order}"

    return made


app = make(os.environ.get("COMPAT_SIDE", "shim"))
