"""The two backends of one application, from the one queue that its module names."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from queues.client import Queue
from queues.commands.session import Session
from queues.doctor.application import queue_of
from queues.errors import InvalidOptionError
from queues.factory import connect
from queues.queued import HasQueued, Queued
from queues.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Sides:
    """Where messages come from and where they go.

    Args:
        records: a session that looks at the application's own records.
    """

    source: Queued
    target: Queue
    records: Session


@contextmanager
def sides(application: str, source: str, target: str, terminal: Terminal) -> Iterator[Sides]:
    """The queues of backend `source`, and a queue on backend `target`, of the same tasks and records.

    The backend that the application was connected with is taken as it is; the other one's broker is that of the
    environment, as `connect` reads it.

    Raises:
        InvalidOptionError: the application cannot be imported, or one of the two cannot be used.
    """
    if source == target:
        msg = f"--from and --to are both {source}"
        raise InvalidOptionError(msg)
    named = queue_of(application)
    records = records_of(named, terminal)
    both = {named.backend.name: named}
    for backend in {source, target} - both.keys():
        both[backend] = connect(named.tasks, backend=backend, redis_url=records.redis_url, prefix=records.prefix)
    opened = queued_of(both[source])
    try:
        yield Sides(opened, both[target], records)
    finally:
        opened.close()
        for queue in both.values():
            if queue is not named:
                queue.close()


def records_of(queue: Queue, terminal: Terminal) -> Session:
    """A session that looks at the records of a queue.

    Raises:
        InvalidOptionError: they are in its own process.
    """
    store: Any = queue.store
    if not hasattr(store, "url"):
        msg = f"the backend is {queue.backend.name}: its queues and records end with their process"
        raise InvalidOptionError(msg)
    return Session(store.url, store.keys.prefix, terminal)


def queued_of(queue: Queue) -> Queued:
    """What waits on a queue's broker.

    Raises:
        InvalidOptionError: its queues are in its own process.
    """
    if not isinstance(queue.backend, HasQueued):
        msg = f"the backend is {queue.backend.name}: its queues and records end with their process"
        raise InvalidOptionError(msg)
    return queue.backend.queued()
