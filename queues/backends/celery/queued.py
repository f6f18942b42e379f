"""What is read of a message that waits on Celery's queues, in whichever broker."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import kombu
import kombu.exceptions
from celery.app.task import Context

from queues.backends.celery.messages import HEADER, from_request
from queues.backends.celery.publisher import BROKER_ERRORS
from queues.errors import BrokerUnavailableError, QueueError
from queues.message import Message
from queues.queued import Taken
from queues.tasks import Tasks

UNREADABLE = (QueueError, kombu.exceptions.KombuError, ValueError, TypeError, KeyError)


def read(native: Any, tasks: Tasks, tag: Any) -> Taken:
    """What kombu's message asks for; no message in it when that is not ours to know.

    Args:
        tag: kept as what the broker knows it by.
    """
    try:
        return Taken(_message(native, tasks), _due_ms(native.headers), tag)
    except UNREADABLE:
        return Taken(None, 0, tag)


@contextmanager
def translated(connection: kombu.Connection) -> Iterator[None]:
    """Turn any error of the broker's client into BrokerUnavailableError."""
    try:
        yield
    except (*BROKER_ERRORS, *connection.connection_errors, *connection.channel_errors) as exc:
        msg = f"Celery's broker did not answer: {type(exc).__name__}: {exc}"
        raise BrokerUnavailableError(msg) from exc


def _message(native: Any, tasks: Tasks) -> Message | None:
    headers = native.headers or {}
    name = str(headers.get("task"))
    if HEADER not in headers or name not in tasks or tasks.get(name).is_foreign:
        return None
    args, kwargs, embedded = native.payload
    request = Context({**headers, **(embedded or {}), "delivery_info": native.delivery_info})
    return from_request(request, tasks.get(name), tuple(args), dict(kwargs))


def _due_ms(headers: Any) -> int:
    if not headers or not headers.get("eta"):
        return 0
    due = datetime.fromisoformat(headers["eta"])
    return round((due if due.tzinfo is not None else due.replace(tzinfo=UTC)).timestamp() * 1000)
