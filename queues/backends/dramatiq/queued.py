"""What is read of a message that waits on Dramatiq's queues, in whichever broker."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import dramatiq
from dramatiq.common import q_name
from dramatiq.errors import DecodeError

from queues.backends.dramatiq.messages import HEADER, from_native
from queues.errors import QueueError
from queues.message import Message
from queues.queued import Lane, Taken
from queues.tasks import Tasks

UNREADABLE = (QueueError, DecodeError, ValueError, TypeError, KeyError)


def lanes(broker: dramatiq.Broker) -> Sequence[Lane]:
    """Every queue that was declared, and those of delayed messages."""
    now = [Lane(name, name) for name in sorted(broker.get_declared_queues())]
    return [*now, *(Lane(name, q_name(name), is_delayed=True) for name in sorted(broker.get_declared_delay_queues()))]


def read(data: bytes | None, tasks: Tasks, tag: Any) -> Taken:
    """What Dramatiq's message asks for; no message in it when that is not ours to know.

    Args:
        data: None where Redis has lost it.
        tag: kept as what the broker knows it by.
    """
    try:
        native = dramatiq.Message.decode(data or b"")
        return Taken(_message(native, tasks), _due_ms(native), tag)
    except UNREADABLE:
        return Taken(None, 0, tag)


def _message(native: dramatiq.Message[Any], tasks: Tasks) -> Message | None:
    name = native.actor_name
    if HEADER not in native.options or name not in tasks or tasks.get(name).is_foreign:
        return None
    # A delayed one is in another queue than its task's.
    return replace(from_native(native, tasks.get(name)), queue=tasks.get(name).queue)


def _due_ms(native: dramatiq.Message[Any]) -> int:
    due_ms = native.options.get("eta")
    return int(due_ms) if isinstance(due_ms, (int, float)) else 0
