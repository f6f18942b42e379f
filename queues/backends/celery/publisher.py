"""Publish to Celery's queues, on Redis or on RabbitMQ."""

import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import celery
import kombu.exceptions
import redis.exceptions
from celery import Celery, signals

from queues.backends.celery.broker_url import from_kombu
from queues.backends.celery.envelope import Envelopes
from queues.backends.celery.messages import HEADER, header, native_arguments, redis_priority
from queues.errors import BrokerUnavailableError
from queues.idempotency.publication import Publication
from queues.message import Message
from queues.redis_url import is_same_redis
from queues.task import Tasks

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
        self._envelopes = Envelopes(app)
        self._wishing: dict[str, bool] = {}
        self._list_keys: dict[tuple[str, int], str] = {}
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
        if not self._is_in_store or message.options or _is_watched() or self._has_wishes:
            return None
        if self._task_has_wishes(message.task):
            return None
        task = self._tasks.get(message.task)
        priority = 0 if task.is_foreign else redis_priority(message.priority)
        entry = self._envelopes.envelope(message, task, priority, delay_ms / 1000 or None)
        return Publication(self._list_key(message.queue, priority), entry, is_left=True)

    def is_ours(self, message: Message) -> bool:
        """Whether no other backend's options are in it."""
        return not message.options.keys() - {"celery"}

    def pause(self, ms: int) -> None:
        """Let `ms` pass, or less when the queue is closed."""
        self._stopping.wait(ms / 1000)

    def close(self) -> None:
        """Close the connections to the broker."""
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
    def _has_wishes(self) -> bool:
        # Celery looks a setting up in a chain of dictionaries, some 5 us each: they are read once.
        conf = self.app.conf
        return bool(conf.task_send_sent_event or conf.task_compression or conf.task_serializer != "json")

    def _task_has_wishes(self, name: str) -> bool:
        if name not in self._wishing:
            native = self.app.tasks[name]
            options = dict(native._get_exec_options())
            if not self._tasks.get(name).is_foreign:
                # Celery fills it in from `task_default_priority`; of a task of ours, its message says it.
                options["priority"] = None
            serializer = options.get("serializer") or "json"
            has_own = serializer != "json" or any(options.get(each) is not None for each in WISHES)
            self._wishing[name] = has_own or type(native).shadow_name is not celery.Task.shadow_name
        return self._wishing[name]

    def _list_key(self, queue: str, priority: int) -> str:
        key = self._list_keys.get((queue, priority))
        if key is None:
            key = self._list_keys[queue, priority] = self._made_list_key(queue, priority)
        return key

    def _made_list_key(self, queue: str, priority: int) -> str:
        options = self._transport_options
        steps = options.get("priority_steps") or [0, 3, 6, 9]
        step = max((step for step in steps if step <= priority), default=steps[0])
        name = f"{queue}{options.get('sep', PRIORITY_SEPARATOR)}{step}" if step else queue
        return f"{options.get('global_keyprefix', '')}{name}"


def _is_watched() -> bool:
    # What watches publications would not see what a script pushes.
    return bool(signals.before_task_publish.receivers or signals.after_task_publish.receivers)
