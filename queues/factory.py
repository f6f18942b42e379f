"""The one place that chooses the parts and joins them."""

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from queues.client import Queue
from queues.clock import Clock, SystemClock
from queues.errors import InvalidOptionError
from queues.executor import Executor
from queues.handle import Access
from queues.idempotency.guard import Guard
from queues.idempotency.recovery import Recovery
from queues.observer import Observer
from queues.observers.environment import observer_for
from queues.producer import Producer
from queues.settings import Settings
from queues.tasks import Tasks

if TYPE_CHECKING:
    from queues.backends.celery import CeleryBackend
    from queues.backends.dramatiq import DramatiqBackend


def connect(
    tasks: Tasks,
    *,
    backend: str | None = None,
    redis_url: str | None = None,
    broker_url: str | None = None,
    prefix: str | None = None,
    result_backend: str | None = None,
    dead_letter_ttl: float | None = None,
    clock: Clock | None = None,
    observer: Observer | None = None,
    **options: Any,
) -> Queue:
    """A queue for these tasks; from here on they can be sent, and a worker of the backend can run them.

    What is not given is read from the environment, as `Settings.from_environment` says. No connection is opened
    before the first use.

    Args:
        backend: `celery`, `dramatiq` or `memory`.
        observer: is told what happens, beside the metrics that QUEUES_METRICS_PORT asks for; `Observers` makes one
            of several.
        dead_letter_ttl: seconds for which dead letters are kept, a week by default; 0 keeps none.
        options: of the backend's constructor; `app=` an existing Celery app, `broker=` an existing Dramatiq broker.

    Raises:
        InvalidOptionError: a setting that cannot be used, or a backend whose packages are not installed.
    """
    settings = Settings.from_environment()
    chosen: dict[str, Any] = {
        "backend": backend,
        "redis_url": redis_url,
        "broker_url": broker_url,
        "prefix": prefix,
        "result_backend": result_backend,
        "dead_letter_ttl": dead_letter_ttl,
    }
    if backend is not None and backend != settings.backend:
        settings = Settings.from_environment({**os.environ, "QUEUES_BACKEND": backend})
    settings = replace(settings, **{name: value for name, value in chosen.items() if value is not None})
    clock = clock or SystemClock()
    if settings.backend == "memory":
        return _memory(tasks, settings, clock, observer_for(observer))
    return _with_redis(tasks, settings, clock, observer_for(observer), options)


def _memory(tasks: Tasks, settings: Settings, clock: Clock, observer: Observer) -> Queue:
    from queues.backends.memory import MemoryBackend
    from queues.stores.memory import AsyncMemoryStore, MemoryStore

    stopping = threading.Event()
    store, backend = MemoryStore(clock), MemoryBackend(clock)
    async_store = AsyncMemoryStore(store)
    guard = Guard(store, clock, stopping, observer, letter_ms=settings.letter_ms)
    executor = Executor(tasks, guard, backend.publish)
    recovery = Recovery(store, tasks, "memory", backend.publish, backend.is_ours, observer, clock)
    backend.serve(executor, recovery)
    access = Access(store, async_store, clock, backend.pause)
    producer = Producer(store, async_store, backend, clock, access, observer)
    return Queue(tasks, backend, producer, access, store.letters, stopping)


def _with_redis(tasks: Tasks, settings: Settings, clock: Clock, observer: Observer, options: dict[str, Any]) -> Queue:
    from queues.stores.redis import RedisStore
    from queues.stores.redis_async import async_redis_store

    stopping = threading.Event()
    store = RedisStore(settings.redis_url, prefix=settings.prefix)
    async_store = async_redis_store(settings.redis_url, prefix=settings.prefix)
    backend = _backend(tasks, settings, stopping, options)
    guard = Guard(store, clock, stopping, observer, backend.name, settings.letter_ms)
    executor = Executor(tasks, guard, backend.publish, backend.failures)
    recovery = Recovery(store, tasks, backend.name, backend.publish, backend.is_ours, observer)
    access = Access(store, async_store, clock, backend.pause)
    producer = Producer(store, async_store, backend, clock, access, observer)
    backend.serve(executor, recovery, producer)
    return Queue(tasks, backend, producer, access, store.letters, stopping)


def _backend(
    tasks: Tasks, settings: Settings, stopping: threading.Event, options: dict[str, Any]
) -> "CeleryBackend | DramatiqBackend":
    url = settings.broker_url or settings.redis_url
    shared = {"store_url": settings.redis_url, "stopping": stopping, **options}
    try:
        if settings.backend == "celery":
            from queues.backends.celery import CeleryBackend

            return CeleryBackend(tasks, url, result_backend=settings.result_backend, **shared)
        from queues.backends.dramatiq import DramatiqBackend

        return DramatiqBackend(tasks, url, **shared)
    except ModuleNotFoundError as exc:
        msg = f"the backend {settings.backend} needs its packages: pip install 'onceq[{settings.backend}]' ({exc})"
        raise InvalidOptionError(msg) from exc
