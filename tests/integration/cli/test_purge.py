"""`queues purge` ends what has not begun, and `queues inspect` shows what there is."""

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from queues import State
from queues.errors import TaskFailedError
from tests.contract.operations import bury
from tests.integration.cli.conftest import Run, Shop
from tests.stage import eventually
from tests.workers import Kind, Worker, is_seen_by, worker_command

PROGRAM = """
import time
from datetime import timedelta

from queues import Once, Tasks, connect, current

tasks = Tasks(namespace="yard")


@tasks.task(queue="trucks", once=Once(lease=10))
def load(name: str, seconds: float = 0) -> str:
    current.progress(1, 2)
    time.sleep(seconds)
    return name


@tasks.schedule(timedelta(days=1), kwargs={"name": "daily"})
@tasks.task(queue="vans", once=Once(lease=10))
def unload(name: str) -> str:
    return name


queue = connect(tasks, backend="BACKEND", redis_url="URL", broker_url="URL")
app = broker = getattr(queue.backend, "app", None) or queue.backend.broker
"""


@pytest.fixture(params=["celery", "dramatiq"])
def yard(
    request: pytest.FixtureRequest, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    """An application with a database of its own; `yard.name` is what commands call it by."""
    database = {"celery": 10, "dramatiq": 11}[request.param]
    url = f"{valkey_url.removesuffix('/0')}/{database}"
    name = f"yard_{uuid.uuid4().hex}"
    (tmp_path / f"{name}.py").write_text(PROGRAM.replace("BACKEND", request.param).replace("URL", url))
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__(name)
    yield module
    module.queue.store._client.flushdb()
    module.queue.close()
    sys.modules.pop(name)


@pytest.fixture
def worker(yard: ModuleType, tmp_path: Path) -> Iterator[Worker]:
    kind: Kind = "dramatiq" if yard.queue.backend.name == "dramatiq" else "celery"
    command = worker_command(kind, yard.__name__, concurrency=1)
    environment = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[3]}"}
    with Worker(command, environment, tmp_path / "worker.log", is_seen_by(yard.queue)) as started:
        yield started


def test_purged_work_ends_as_cancelled_and_its_messages_are_gone(yard: ModuleType, queues: Run):
    gone = [yard.load.send("now"), yard.load.send_with_options(("later",), delay=60)]
    kept = yard.unload.send("kept")

    planned = queues("purge", yard.__name__, "--task", "yard.load", "--dry-run")
    purged = queues("purge", yard.__name__, "--task", "yard.load", "--yes")
    looked = queues("inspect", yard.__name__, "--json").document

    assert (planned.code, planned.out.strip()) == (0, "2 of yard.load would end as cancelled. Nothing was changed.")
    assert purged.out.splitlines()[-1].startswith("purge: 2 cancelled")
    assert [handle.state for handle in gone] == [State.FAILED, State.FAILED]
    with pytest.raises(TaskFailedError, match="cancelled"):
        gone[0].result(timeout=0)
    assert kept.state is State.QUEUED
    assert {d["queue"]: d["waiting"] + d["delayed"] for d in looked["queues"]} | {"default": 0} == {
        "default": 0,
        "trucks": 0,
        "vans": 1,
    }


def test_what_runs_is_seen_with_its_worker_and_is_not_purged(yard: ModuleType, worker: Worker, queues: Run):
    running = yard.load.send("first", 5)
    eventually(lambda: (running.status().progress or None) is not None)
    behind = yard.load.send("second", 0)

    looked = queues("inspect", yard.__name__)
    rows = queues("inspect", yard.__name__, "--json").document["workers"]
    purged = queues("purge", yard.__name__, "--all", "--yes")

    assert "1/2" in looked.out
    assert "every 1 d" in looked.out
    assert [(w["name"].partition("@")[0], r["id"]) for w in rows for r in w["running"]] == [
        (yard.queue.backend.name, running.id)
    ]
    assert purged.out.splitlines()[-1].startswith("purge: 1 cancelled")
    assert running.result(timeout=60) == "first"
    assert behind.state is State.FAILED


def test_what_a_chain_waits_for_is_cancelled_and_answered(yard: ModuleType, queues: Run):
    if yard.queue.backend.name == "dramatiq":
        first = yard.broker.actors["yard.load"].message("first")
        yard.broker.enqueue(first.copy(options={"pipe_target": first.asdict()}))
    else:
        yard.app.tasks["yard.load"].apply_async(("first",), link=yard.app.tasks["yard.unload"].s())

    purged = queues("purge", yard.__name__, "--all", "--yes", "--json")

    assert "0 messages removed" in purged.document["message"]


def test_a_purge_must_be_told_of_what_and_agreed_to(yard: ModuleType, queues: Run):
    handle = yard.load.send("kept")

    codes = [
        queues("purge", yard.__name__).code,
        queues("purge", yard.__name__, "--queue", "boats").code,
        queues("purge", yard.__name__, "--task", "yard.fly").code,
        queues("purge", yard.__name__, "--all").code,
    ]

    assert codes == [64, 64, 64, 4]
    assert handle.state is State.QUEUED


def test_a_purge_of_nothing_says_so(yard: ModuleType, queues: Run):
    planned = queues("purge", yard.__name__, "--all", "--dry-run")
    asked = queues("purge", yard.__name__, "--all")
    purged = queues("purge", yard.__name__, "--all", "--yes")

    assert (planned.code, planned.out.strip()) == (0, "No task is queued. Nothing was changed.")
    assert asked.out.startswith("No task is queued. Messages that ended work left behind would be removed.\n")
    assert "cancelled" not in asked.out
    assert purged.out.splitlines()[-1] == "purge: 0 cancelled, 0 messages removed, 0 had begun"


def test_inspect_needs_no_application(queues: Run):
    looked = queues("inspect")

    assert looked.code == 0
    assert "No worker was seen" in looked.out
    told = queues("inspect", "--json").document
    assert (told["workers"], told["dead_letters"]) == ([], 0)


def test_inspect_tells_of_what_is_held_until_due(shop: Shop, queues: Run):
    shop.charge.send_with_options(args=("later",), delay=3_600)
    shop.charge.send("now")

    assert "held until due, on no queue: 1;" in queues("inspect").out
    assert queues("inspect", "--json").document["held"] == 1


def test_inspect_tells_a_schedule_that_was_seen_from_one_that_ran(yard: ModuleType, queues: Run):
    (schedule,) = yard.tasks.schedules
    yard.queue.tick()
    seen = queues("inspect", yard.__name__)
    last_ms = schedule.next_ms(yard.queue.store.ticks()[1])
    yard.queue.store.ticked(schedule.name, last_ms)
    (ran,) = queues("inspect", yard.__name__, "--json").document["schedules"]

    assert "none since " in seen.out
    assert (ran["last_ms"], ran["since_ms"]) == (last_ms, None)


def test_inspect_tells_of_dead_letters(shop: Shop, queues: Run):
    shop.store.apply("ab" * 20, bury("m1"))

    assert "dead letters: 1;" in queues("inspect").out
    assert queues("inspect", "--json").document["dead_letters"] == 1
