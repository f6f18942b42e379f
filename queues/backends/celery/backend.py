"""Celery as a backend: `celery -A module worker` runs the tasks."""

import threading

import kombu
from celery import Celery

from queues.backend import Elsewhere
from queues.backends.celery.acks import AcksStep
from queues.backends.celery.engine import Engine
from queues.backends.celery.messages import redis_priority
from queues.backends.celery.publisher import CeleryPublisher
from queues.backends.celery.queued_rabbitmq import RabbitmqQueued
from queues.backends.celery.queued_redis import RedisQueued
from queues.backends.celery.task import IdempotentTask
from queues.executor import Executor
from queues.idempotency.recovery import Recovery
from queues.kombu_url import to_kombu
from queues.priority import MAX_PRIORITY, Priority
from queues.producer import Producer
from queues.queued import Queued
from queues.task import AnyTask
from queues.tasks import Tasks

VISIBILITY_TIMEOUT_S = 1_800
KILL_AFTER_S = 5.0
"""How long after a task's `time_limit` Celery kills the child that still runs it."""
SCHEDULER = "queues.backends.celery.schedules:Scheduler"


class CeleryBackend(CeleryPublisher):
    """One Celery task a task.

    Args:
        url: `redis://`, `rediss://`, `unix://`, `redis+sentinel://` or `amqp://` of the broker.
        store_url: of the records, to know whether the broker is the same Redis.
        app: an existing app, used in place of one of our own; its settings stay as they are.
        result_backend: Celery's own, for its AsyncResult and chords; None leaves results to the records.
    """

    broker = Elsewhere("dramatiq")

    def __init__(
        self,
        tasks: Tasks,
        url: str,
        *,
        store_url: str,
        stopping: threading.Event,
        app: Celery | None = None,
        result_backend: str | None = None,
    ) -> None:
        app = app if app is not None else make_app(tasks, url, result_backend)
        super().__init__(tasks, app, store_url=store_url, stopping=stopping)

    def queued(self) -> Queued:
        """What waits on the app's queues."""
        kind = RedisQueued if self._is_redis else RabbitmqQueued
        return kind(self.app, self._tasks)

    def serve(self, executor: Executor, recovery: Recovery, producer: Producer) -> None:
        """Declare a Celery task for each task, run by `executor`."""
        Engine(self._tasks, executor, recovery, producer, self._stopping).install(self.app)
        for task in self._tasks:
            declare = self.app.task(
                name=task.name,
                base=IdempotentTask,
                shared=False,
                onceq_task=task,
                typing=False,
                acks_late=True,
                reject_on_worker_lost=True,
                time_limit=_native_limit_s(task),
            )
            declare(task.fn)


def _native_limit_s(task: AnyTask) -> float | None:
    # Later than ours, which stores the outcome: for a child that is stuck in code that no exception reaches.
    hard_s = task.time_limits.hard_s
    return None if hard_s is None else hard_s + KILL_AFTER_S


def _transport_options(url: str) -> dict[str, object]:
    if url.startswith("amqp"):
        return {"confirm_publish": True}
    # Sooner than an outcome expires: a message whose worker died before the ack must find it.
    return {"visibility_timeout": VISIBILITY_TIMEOUT_S}


def make_app(tasks: Tasks, url: str, result_backend: str | None) -> Celery:
    """A Celery app whose settings keep the guarantee; JSON only."""
    broker, transport_options = to_kombu(url)
    app = Celery("onceq", broker=broker, backend=result_backend, set_as_current=False)
    app.steps["consumer"].add(AcksStep)
    names = sorted({"default", *(task.queue for task in tasks)})
    is_amqp = url.startswith("amqp")
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        result_expires=3600,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        task_default_queue="default",
        task_queues=[kombu.Queue(name) for name in names],
        # RabbitMQ heeds priorities only in a queue that was declared so.
        task_queue_max_priority=MAX_PRIORITY if is_amqp else None,
        # Of what comes without one: by Celery's own default it would go first on Redis, and last on RabbitMQ.
        task_default_priority=Priority.NORMAL.value if is_amqp else redis_priority(Priority.NORMAL),
        task_routes={task.name: {"queue": task.queue} for task in tasks},
        task_track_started=result_backend is not None,
        task_ignore_result=result_backend is None,
        broker_connection_retry_on_startup=True,
        # Celery's own reading of CELERY_BROKER_URL wins over its broker_url, and knows no form of ours.
        broker_read_url=broker,
        broker_write_url=broker,
        broker_transport_options={**_transport_options(url), **transport_options},
        # A third of what the worker's main process computes, and Flower asks for them itself (`celery worker -E`, too).
        worker_send_task_events=False,
        timezone="UTC",
        beat_scheduler=SCHEDULER,
    )
    return app
