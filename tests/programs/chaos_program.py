"""Tasks for `python -m tests.chaos`; each says in the ledger when it begins, when it takes effect and when it ends."""

import asyncio
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chaos_control import CONTROLS
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware

from queues import Backoff, Once, Queue, Tasks, connect, current, submission
from queues.backends.dramatiq.backend import make_broker
from queues.idempotency import recovery
from tests.chaos.ledger import Ledger, Phase
from tests.chaos.rows import Rows

FOLDER = Path(os.environ["CHAOS_FOLDER"])
LEASE_S = float(os.environ["CHAOS_LEASE_S"])
KEPT_S = 6 * 3600.0
SLICE_S = 0.05
REDELIVERED_AFTER_S = 5 * LEASE_S
"""When the broker gives the messages of a worker that vanished to another; an hour by Celery's default."""

# A message that the broker loses is published again after this long. The library waits an hour, which no run of
# minutes could see the end of; the mechanism is the same. Much less than a queue's wait would double its work.
submission.QUEUE_WAIT_MS = recovery.QUEUE_WAIT_MS = round(10 * LEASE_S * 1000)

CONTROL = os.environ.get("CHAOS_CONTROL", "")
if CONTROL:
    CONTROLS[CONTROL]()

ONCE = Once(lease=LEASE_S, ttl=KEPT_S, lock_ttl=KEPT_S, max_lost=1000, lossy=CONTROL == "skip")

tasks = Tasks(namespace="chaos")
ledger = Ledger(FOLDER)
rows = Rows(FOLDER / "rows")


def note(phase: Phase, name: str) -> None:
    """Write a line about the run that this code belongs to."""
    ledger.write(phase, name, message=current.message_id, token=current.token, attempt=current.attempt)


def work(ms: int) -> None:
    """Take `ms`, in slices, so that a run that is told to stop does."""
    deadline = time.monotonic() + ms / 1000
    while (left_s := deadline - time.monotonic()) > 0:
        time.sleep(min(left_s, SLICE_S))


def answer(name: str) -> dict[str, object]:
    """What the judge expects as the outcome."""
    return {"name": name, "token": current.token}


@contextmanager
def told(name: str) -> Iterator[None]:
    """Say in the ledger that a run begins, and how it leaves the task's function."""
    note(Phase.BEGIN, name)
    try:
        yield
    except BaseException:
        note(Phase.RAISED, name)
        raise
    note(Phase.END, name)


@tasks.task(queue="chaos", once=ONCE)
def unfenced(name: str, work_ms: int) -> dict[str, object]:
    with told(name):
        work(work_ms)
        note(Phase.EFFECT, name)
        work(work_ms // 5)
    return answer(name)


@tasks.task(queue="chaos", once=ONCE)
def fenced(name: str, work_ms: int) -> dict[str, object]:
    with told(name):
        # In one piece and unasked, and not as long in each run: what comes too late is for the row to refuse.
        time.sleep(random.uniform(0.1, 1.5) * work_ms / 1000)
        was_taken = rows.write(name, current.token, os.getpid())
        note(Phase.EFFECT if was_taken else Phase.REFUSED, name)
    return answer(name)


@tasks.task(queue="chaos", once=ONCE, max_retries=3, backoff=Backoff(0.3))
def flaky(name: str, work_ms: int) -> dict[str, object]:
    with told(name):
        work(work_ms)
        if current.attempt <= 1 + work_ms % 2:
            message = f"attempt {current.attempt} of {name}"
            raise ConnectionError(message)
        note(Phase.EFFECT, name)
    return answer(name)


@tasks.task(queue="chaos", once=ONCE)
async def awaited(name: str, work_ms: int) -> dict[str, object]:
    with told(name):
        await asyncio.sleep(work_ms / 1000)
        note(Phase.EFFECT, name)
    return answer(name)


@tasks.task(queue="chaos", once=ONCE)
def brief(name: str, _: int) -> dict[str, object]:
    with told(name):
        note(Phase.EFFECT, name)
    return answer(name)


def queue(*middleware: Middleware) -> Queue:
    """The tasks on the backend that the environment names, with a broker that soon misses a worker that vanished.

    Args:
        middleware: more of it, for Dramatiq's broker.
    """
    if os.environ["QUEUES_BACKEND"] == "celery":
        connected = connect(tasks)
        backend: Any = connected.backend
        transport = backend.app.conf.broker_transport_options
        if not os.environ["CELERY_BROKER_URL"].startswith("amqp"):
            transport.update(visibility_timeout=REDELIVERED_AFTER_S, unacked_restore_throttle=1)
        return connected
    broker = make_broker(os.environ["DRAMATIQ_BROKER_URL"])
    if isinstance(broker, RedisBroker):
        broker.heartbeat_timeout = round(REDELIVERED_AFTER_S * 1000)
        broker.maintenance_chance = 20_000
    for each in middleware:
        broker.add_middleware(each)
    return connect(tasks, broker=broker)
