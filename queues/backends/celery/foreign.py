"""The engine of a Celery app that knows nothing of this library but the task class."""

import os
import threading

from celery import Celery

from queues.backends.celery.engine import Engine
from queues.backends.celery.publisher import CeleryPublisher
from queues.clock import SystemClock
from queues.errors import InvalidOptionError
from queues.executor import Executor
from queues.handle import Access
from queues.idempotency.guard import Guard
from queues.idempotency.recovery import Recovery
from queues.kombu_url import from_kombu
from queues.observers.environment import observer_for
from queues.producer import Producer
from queues.settings import letter_ttl_ms
from queues.stores.redis import RedisStore
from queues.stores.redis_async import async_redis_store
from queues.tasks import Tasks


def foreign_engine(app: Celery) -> Engine:
    """The app's engine, made at the first call.

    The records are in the Redis that the app's setting `idempotency_url` names, else the environment's REDIS_URL,
    else the app's broker where that is a Redis; their prefix is the setting `idempotency_prefix`.
    The setting `idempotency_observer` is an `Observer` that is told what happens. Dead letters are kept for
    `idempotency_dead_letter_ttl` seconds, else QUEUES_DEAD_LETTER_TTL, else a week.

    Raises:
        InvalidOptionError: none of these names a Redis, or the time is none.
    """
    engine = Engine.of(app)
    if engine is not None:
        return engine
    url = records_url(app)
    prefix = str(app.conf.get("idempotency_prefix") or "")
    clock, stopping, tasks = SystemClock(), threading.Event(), Tasks(namespace="")
    store, async_store = RedisStore(url, prefix=prefix), async_redis_store(url, prefix=prefix)
    letter_ms = letter_ttl_ms(app.conf.get("idempotency_dead_letter_ttl"))
    publisher = CeleryPublisher(tasks, app, store_url=url, stopping=stopping)
    observer = observer_for(app.conf.get("idempotency_observer"))
    guard = Guard(store, clock, stopping, observer, publisher.name, letter_ms)
    executor = Executor(tasks, guard, publisher.publish)
    recovery = Recovery(store, tasks, publisher.name, publisher.publish, publisher.is_ours, observer)
    access = Access(store, async_store, clock, publisher.pause)
    producer = Producer(store, async_store, publisher, clock, access, observer)
    engine = Engine(tasks, executor, recovery, producer, stopping)
    engine.install(app)
    return engine


def records_url(app: Celery) -> str:
    """Where the app's records are.

    Raises:
        InvalidOptionError: nothing names a Redis.
    """
    own = app.conf.get("idempotency_url") or os.environ.get("REDIS_URL")
    if own:
        return str(own)
    broker_url = from_kombu(str(app.conf.broker_write_url or ""), app.conf.broker_transport_options or {})
    if broker_url is not None:
        return broker_url
    msg = "IdempotentTask needs a Redis for its records: set the app's idempotency_url, or REDIS_URL"
    raise InvalidOptionError(msg)
