"""A Dramatiq application that knows of this library only its middleware: `dramatiq native_dramatiq:broker`."""

import os
import time

import dramatiq
from crash_points import arm
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Retries, SkipMessage
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from native_marks import mark

from queues import Once
from queues.backends.dramatiq import Idempotency

arm()
broker = RedisBroker(url=os.environ["REDIS_URL"])
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["REDIS_URL"])))
idempotency = Idempotency(
    os.environ["REDIS_URL"], once=Once(lease=2.0), all_actors=os.environ.get("NATIVE_ALL_ACTORS", "1") == "1"
)
if os.environ.get("NATIVE_BEFORE_RETRIES"):
    broker.add_middleware(idempotency, before=Retries)
else:
    broker.add_middleware(idempotency)
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def add(a, b, name):
    mark(name, f"{a}+{b}")
    return a + b


@dramatiq.actor(store_results=True, idempotent=True)
def give(name, value):
    mark(name)
    return value


@dramatiq.actor(idempotent=False)
def unguarded(name):
    mark(name)


@dramatiq.actor(idempotent=False, max_retries=0)
def unguarded_fails(name):
    mark(name)
    raise ValueError(name)


@dramatiq.actor
def undecided(name):
    mark(name)


@dramatiq.actor(store_results=True)
def nap(name, seconds):
    mark(name, "began")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.01)
    mark(name, "done")
    return name


@dramatiq.actor(store_results=True, max_retries=3, min_backoff=100, max_backoff=200)
def fails(name, times):
    if mark(name) <= times:
        raise ValueError(name)
    return "at last"


@dramatiq.actor(store_results=True, max_retries=1, min_backoff=100, max_backoff=200)
def gives_up(name):
    mark(name)
    raise ValueError(name)


@dramatiq.actor(max_retries=0, time_limit=500)
def too_slow(name):
    mark(name)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        time.sleep(0.01)


@dramatiq.actor(max_retries=0)
def skips(name):
    mark(name)
    raise SkipMessage(name)


@dramatiq.actor
def noted(name, result):
    mark(name, str(result))
