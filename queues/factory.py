"""The one place that chooses the parts and joins them."""

import os
import socket
import threading
from dataclasses import replace
from typing import Any

from queues.client import Queue
from queues.clock import Clock, SystemClock
from queues.executor import Executor
from queues.idempotency.guard import Guard
from queues.idempotency.heartbeat import HeartbeatThread
from queues.idempotency.recovery import Recovery
from queues.idempotency.store import Store
from queues.settings import Settings
from queues.task import Tasks


def connect(
    tasks: Tasks,
    *,
    backend: str | None = None,
    redis_url: str | None = None,
    broker_url: str | None = None,
    prefix: str | None = None,
    result_backend: str | None = None,
    clock: Clock | None = None,
    **options: Any,
) -> Queue:
    """A queue for these tasks; from here on they can be sent, and a worker of the backend can run them.

    What is not given is read from the environment, as `Settings.from_environment` says. No connection is opened
    before the first use.

    Args:
        backend: `celery`, `dramatiq` or `memory`.
        options: of the backend's constructor; `app=` an existing Celery app, `broker=` an existing Dramatiq broker.

    Raises:
        InvalidOptionError: a setting that cannot be used, or a backend whose packages are not installed.
    """
    settings = Settings.from_environment()
    chosen = {
        "backend": backend,
        "redis_url": redis_url,
        "broker_url": broker_url,
        "prefix": prefix,
        "result_backend": result_backend,
    }
    if backend is not None and backend != settings.backend:
        settings = Settings.from_environment({**os.environ, "QUEUES_BACKEND": backend})
    settings = replace(settings, **{name: value for name, value in chosen.items() if value is not None})
    clock = clock or SystemClock()
    if settings.backend == "memory":
        return _memory(tasks, clock)
    return _with_redis(tasks, settings, clock, options)


def worker_name(backend: str) -> str:
    """How this process calls itself as a worker."""
    return f"{backend}@{socket.gethostname()}:{os.getpid()}"


def _memory(tasks: Tasks, clock: Clock) -> Queue:
    from queues.backends.memory import MemoryBackend
    from queues.stores.memory import AsyncMemoryStore, MemoryStore

    stopping = threading.Event()
    store, backend = MemoryStore(clock), MemoryBackend(clock)
    executor = Executor(tasks, guard_for(store, clock, stopping), backend.publish)
    recovery = Recovery(store, tasks, worker_name("memory"), backend.publish, backend.is_ours)
    backend.serve(executor, recovery)
    return Queue(tasks, backend, store, AsyncMemoryStore(store), clock, stopping)


def guard_for(store: Store, clock: Clock, stopping: threading.Event) -> Guard:
    """A guard with a heartbeat of its own."""
    return Guard(store, HeartbeatThread(store, clock), clock, stopping)


def _with_redis(tasks: Tasks, settings: Settings, clock: Clock, options: dict[str, Any]) -> Queue:
    raise NotImplementedError
