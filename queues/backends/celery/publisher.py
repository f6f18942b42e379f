"""Publish to Celery's queues, on Redis or on RabbitMQ."""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import celery
import kombu.exceptions
import redis.exceptions
from celery import Celery, signals

from queues.backends.celery.envelope import PARTS, Envelope
from queues.backends.celery.messages import HEADER, header, native_arguments, redis_priority
from queues.errors import BrokerUnavailableError
from queues.idempotency.publication import Publication
from queues.kombu_url import from_kombu
from queues.message import Message
from queues.outline import Outline, marked
from queues.redis_url import is_same_redis
from queues.task import AnyTask
from queues.tasks import Tasks

# AttributeError: kombu's Redis channel, when its connection is reset while it is being used.
BROKER_ERRORS = (kombu.exceptions.OperationalError, redis.exceptions.RedisError, OSError, AttributeError)
PRIORITY_SEPARATOR = "\x06\x16"
WISHES = ("exchange", "routing_key", "priority", "expires", "delivery_mode", "compression", "immediate", "mandatory")
"""Options of a Celery task that only Celery's own way of publishing carries out."""


class CeleryPublisher:
    """Puts messages on the queues of a Celery app.

    Args:
        store_url: of the records, to know whether the broker is the same Redis.
        stopping: set when the queue is closed.
    """

    name = "celery"
    failures: tuple[type[BaseException], ...] = ()

    def __init__(self, tasks: Tasks, app: Celery, *, store_url: str, stopping: threading.Event) -> None:
        self.app = app
        self._tasks = tasks
        self._stopping = stopping
        self._lanes: dict[tuple[str, str, int, int], Lane] = {}
        self._outlines: dict[tuple[str, str, int, int], Outline | None] = {}
        broker_url = from_kombu(str(app.conf.broker_write_url or ""), app.conf.broker_transport_options or {})
        # An app with an AMQP class of its own does not put its messages where Celery's transport would.
        is_celerys = app.amqp_cls == Celery.amqp_cls
        self._is_in_store = is_celerys and broker_url is not None and is_same_redis(broker_url, store_url)

    def publish(self, message: Message, delay_ms: int = 0) -> None:
        """Put the message on its queue; a delay is Celery's own countdown."""
        task = self._tasks.get(message.task)
        args, kwargs = native_arguments(message, task)
        options: dict[str, Any] = dict(message.options.get("celery", {}))
        if not task.is_foreign:
            options["priority"] = self._native_priority(message.priority)
        try:
            celery.Task.apply_async(
                self.app.tasks[message.task],
                args,
                kwargs,
                task_id=message.id,
                headers={HEADER: header(message)},
                countdown=delay_ms / 1000 or None,
                queue=message.queue,
                retries=message.retries if task.is_foreign else 0,
                add_to_parent=False,
                **options,
            )
        except BROKER_ERRORS as exc:
            msg = f"Celery's broker did not take {message.id}: {type(exc).__name__}: {exc}"
            raise BrokerUnavailableError(msg) from exc

    def publish_many(self, messages: Sequence[tuple[Message, int]]) -> None:
        """Put many on their queues."""
        for message, delay_ms in messages:
            self.publish(message, delay_ms)

    def publication(self, message: Message, delay_ms: int) -> Publication | None:
        """What Celery's transport does to publish, where the queue is in the store's Redis."""
        if message.options:
            return None
        lane = self._lane(message.task, message.queue, message.priority)
        if lane is None or lane.envelope is None:
            return None
        return Publication(lane.list_key, lane.envelope.written(message, delay_ms / 1000 or None), is_left=True)

    def outline(self, task: AnyTask) -> Outline | None:
        """How the messages of a task of ours are published, where the queue is in the store's Redis."""
        if not self._can_push or _is_watched():
            return None
        key = (task.name, task.queue, task.priority, os.getpid())
        try:
            return self._outlines[key]
        except KeyError:
            return self._outlines.setdefault(key, self._outline(task))

    def is_ours(self, message: Message) -> bool:
        """Whether no other backend's options are in it."""
        return not message.options.keys() - {"celery"}

    def pause(self, ms: int) -> None:
        """Let `ms` pass, or less when the queue is closed."""
        self._stopping.wait(ms / 1000)

    def close(self) -> None:
        """Let go of the broker's connections; kombu keeps one pool of them for all apps of this process."""
        self.app.close()

    def _native_priority(self, priority: int) -> int:
        return redis_priority(priority) if self._is_redis else priority

    @cached_property
    def _is_redis(self) -> bool:
        return str(self.app.conf.broker_write_url or "").startswith(("redis", "rediss", "unix", "sentinel"))

    @cached_property
    def _transport_options(self) -> dict[str, Any]:
        return dict(self.app.conf.broker_transport_options)

    @cached_property
    def _can_push(self) -> bool:
        # Celery looks a setting up in a chain of dictionaries, some 5 us each: they are read once.
        conf = self.app.conf
        has_wishes = conf.task_send_sent_event or conf.task_compression or conf.task_serializer != "json"
        return self._is_in_store and not has_wishes

    def _lane(self, name: str, queue: str, priority: int) -> "Lane | None":
        """How a script publishes such messages now; None where only Celery's own way does."""
        if not self._can_push or _is_watched():
            return None
        key = (name, queue, priority, os.getpid())
        return self._lanes.get(key) or self._lanes.setdefault(key, self._new_lane(name, queue, priority))

    def _outline(self, task: AnyTask) -> Outline | None:
        lane = self._new_lane(task.name, task.queue, task.priority)
        if lane.envelope is None or task.is_foreign:
            return None
        published = Publication(lane.list_key, lane.envelope.outlined(marked(task)), is_left=True)
        return Outline(published, PARTS, lane.envelope.parts)

    def _new_lane(self, name: str, queue: str, priority: int) -> "Lane":
        task = self._tasks.get(name)
        native_priority = 0 if task.is_foreign else redis_priority(priority)
        envelope = None if self._task_has_wishes(task) else Envelope(self.app, task, queue, native_priority)
        return Lane(self._list_key(queue, native_priority), envelope)

    def _task_has_wishes(self, task: AnyTask) -> bool:
        native = self.app.tasks[task.name]
        options = dict(native._get_exec_options())
        if not task.is_foreign:
            # Celery fills it in from `task_default_priority`; of a task of ours, its message says it.
            options["priority"] = None
        serializer = options.get("serializer") or "json"
        has_own = serializer != "json" or any(options.get(each) is not None for each in WISHES)
        return has_own or type(native).shadow_name is not celery.Task.shadow_name

    def _list_key(self, queue: str, priority: int) -> str:
        options = self._transport_options
        steps = options.get("priority_steps") or [0, 3, 6, 9]
        step = max((step for step in steps if step <= priority), default=steps[0])
        name = f"{queue}{options.get('sep', PRIORITY_SEPARATOR)}{step}" if step else queue
        return f"{options.get('global_keyprefix', '')}{name}"


@dataclass(frozen=True, slots=True)
class Lane:
    """How a script publishes the messages of one task that go to one queue with one priority.

    Args:
        list_key: where they are pushed.
        envelope: writes what is pushed; None where only Celery's own way of publishing does as the task says.
    """

    list_key: str
    envelope: Envelope | None


def _is_watched() -> bool:
    # What watches publications would not see what a script pushes.
    return bool(signals.before_task_publish.receivers or signals.after_task_publish.receivers)
