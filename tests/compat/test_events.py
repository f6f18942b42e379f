"""Events: the same types, with the same fields, from Celery's workers and from the shim's."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.compat.sides import Side
from tests.stage import eventually

WAIT_S = 60
EVERY = {"clock", "hostname", "local_received", "pid", "timestamp", "type", "utcoffset"}
TASK = EVERY | {"uuid"}
RECEIVED = {"name", "args", "kwargs", "root_id", "parent_id", "retries", "eta", "expires"}
WORKER = EVERY | {"active", "processed", "loadavg", "freq", "sw_ident", "sw_ver", "sw_sys"}
FIELDS = {
    "task-sent": TASK | RECEIVED | {"queue", "exchange", "routing_key"},
    "task-received": TASK | RECEIVED,
    "task-started": TASK,
    "task-succeeded": TASK | {"result", "runtime"},
    "task-failed": TASK | {"exception", "traceback"},
    "task-retried": TASK | {"exception", "traceback"},
    "task-revoked": TASK | {"terminated", "signum", "expired"},
    "task-rejected": TASK | {"requeue"},
    "worker-online": WORKER,
    "worker-heartbeat": WORKER,
    "worker-offline": WORKER,
}


class Seen:
    """The events that came."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def of(self, task_id: str) -> list[str]:
        """The types of a task's events, in order."""
        return [event["type"] for event in self.all if event.get("uuid") == task_id]

    @property
    def fields(self) -> dict[str, set[str]]:
        """The fields that each type had."""
        found: dict[str, set[str]] = defaultdict(set)
        for event in self.all:
            found[event["type"]] |= set(event)
        return found


@contextmanager
def captured(side: Side) -> Iterator[Seen]:
    """Everything that is told while the block runs."""
    seen, ended = Seen(), threading.Event()
    with side.program.app.connection_for_read() as given:
        receiver = side.program.app.events.Receiver(given, handlers={"*": seen.all.append})
        with receiver.consumer_context() as (connection, _, _):

            def receive() -> None:
                while not ended.is_set():
                    try:
                        connection.drain_events(timeout=0.2)
                    except TimeoutError:
                        continue

            thread = threading.Thread(target=receive)
            thread.start()
            try:
                yield seen
            finally:
                ended.set()
                thread.join()


@pytest.fixture
def sends_events(side: Side) -> Iterator[None]:
    """The producer tells of what it sends."""
    side.program.app.conf.task_send_sent_event = True
    side.program.app.amqp.__dict__.pop("send_task_message", None)
    yield
    side.program.app.conf.task_send_sent_event = False
    side.program.app.amqp.__dict__.pop("send_task_message", None)


@pytest.mark.usefixtures("sends_events")
def test_events_tell_what_celerys_tell(side: Side, name: str, folder: Path) -> None:
    tasks = side.tasks
    with captured(side) as seen:
        with side.worker(folder, "-E", "--heartbeat-interval", "1") as worker:
            done, failed = tasks.add.delay(1, 2), tasks.fail.delay("no")
            retried, rejected = tasks.flaky.delay(name, 1), tasks.reject.delay(f"{name} rejected", False)
            revoked = tasks.note.apply_async((name,), countdown=600)
            expired = tasks.note.apply_async((name,), expires=-1)
            assert done.get(timeout=WAIT_S) == 3
            eventually(lambda: "task-received" in seen.of(revoked.id), within_s=WAIT_S)
            revoked.revoke()
            ends = {
                done: "task-succeeded",
                failed: "task-failed",
                retried: "task-succeeded",
                rejected: "task-rejected",
                expired: "task-revoked",
            }
            eventually(lambda: all(end in seen.of(result.id) for result, end in ends.items()), within_s=WAIT_S)
            eventually(lambda: "worker-heartbeat" in seen.fields, within_s=WAIT_S)
            worker.stop()
        eventually(lambda: "worker-offline" in seen.fields, within_s=WAIT_S)

    # The producer's own event may come after the worker's.
    assert sorted(seen.of(done.id)) == ["task-received", "task-sent", "task-started", "task-succeeded"]
    assert sorted(seen.of(failed.id)) == ["task-failed", "task-received", "task-sent", "task-started"]
    assert seen.of(retried.id).count("task-retried") == 1
    assert seen.fields == FIELDS
