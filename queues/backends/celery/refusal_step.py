"""What Celery's consumer would drop is kept as a dead letter first."""

import base64
import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import kombu
from celery import bootsteps
from celery.app.task import Context

from queues.backends.celery.foreign import foreign_engine
from queues.backends.celery.messages import delivered
from queues.errors import InvalidMessageError, QueueError, StoreUnavailableError, TaskNotFoundError
from queues.idempotency.refusal import Refused, Unreadable, refused

if TYPE_CHECKING:
    from celery.worker.consumer import Consumer

logger = logging.getLogger(__name__)

RETRY_S = 2.0


class RefusalStep(bootsteps.Step):
    """Stands before the consumer's own answers to what it cannot hand to a task; those follow unchanged.

    Celery's signals `task_unknown` and `task_rejected` are sent after the message is gone, and would be too late.
    """

    def __init__(self, consumer: "Consumer", **options: Any) -> None:
        super().__init__(consumer, **options)
        self._consumer = consumer
        self._guard = foreign_engine(consumer.app).executor.guard
        for name in ("on_unknown_message", "on_unknown_task", "on_invalid_task", "on_decode_error"):
            setattr(consumer, name, self._kept_first(getattr(consumer, name)))

    def _kept_first(self, refuse: Callable[..., None]) -> Callable[..., None]:
        def keep_and_refuse(*arguments: Any) -> None:
            message = next(part for part in arguments if isinstance(part, kombu.Message))
            cause = next((part for part in arguments if isinstance(part, Exception)), None)
            what = content_of(message)
            digest, bury = refused(what, self._error(what, message, cause), self._guard.letter_ms)
            try:
                self._guard.store.apply(digest, bury)
            except StoreUnavailableError as exc:
                # Not waited for here, where the worker's event loop runs: the message stays unacked meanwhile.
                logger.warning("a message that cannot be run is kept in %g s: %s", RETRY_S, exc)
                self._consumer.timer.call_after(RETRY_S, keep_and_refuse, arguments)
                return
            refuse(*arguments)

        return keep_and_refuse

    def _error(self, what: Refused, message: kombu.Message, cause: Exception | None) -> QueueError:
        if isinstance(cause, KeyError) and not isinstance(what, Unreadable):
            names = sorted(name for name in self._consumer.app.tasks if not name.startswith("celery."))
            return TaskNotFoundError(what.task, tuple(names))
        why = f"{type(cause).__name__}: {cause}" if cause is not None else "it names no task"
        return InvalidMessageError(f"Celery cannot read the message: {why}")


def content_of(message: kombu.Message) -> Refused:
    """What a message of Celery's says; its bytes and headers where that cannot be read."""
    headers: Any = message.headers or {}
    try:
        payload: Any = message.payload
        if isinstance(payload, dict):  # of Celery's first protocol
            request, args, kwargs = Context(payload), payload.get("args", ()), payload.get("kwargs", {})
            name = payload["task"]
        else:
            args, kwargs, embed = payload
            request, name = Context({**headers, **(embed or {})}), headers["task"]
        request.update(delivery_info=message.delivery_info, reply_to=message.properties.get("reply_to"))
        return delivered(request, str(name), tuple(args), dict(kwargs))
    except Exception:  # noqa: BLE001 - a decoder may raise anything
        return Unreadable(_raw(message), str(headers.get("id") or "") if isinstance(headers, dict) else "")


def _raw(message: kombu.Message) -> bytes:
    body = message.body.encode("utf-8", "surrogateescape") if isinstance(message.body, str) else bytes(message.body)
    try:
        content = {"body": body.decode()}
    except UnicodeDecodeError:
        content = {"body_base64": base64.b64encode(body).decode()}
    known = {"queue": message.delivery_info.get("routing_key"), "content_type": message.content_type}
    return json.dumps({**known, "headers": message.headers, **content}, default=repr).encode()
