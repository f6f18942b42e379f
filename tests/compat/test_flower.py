"""Flower shows the shim's workers and tasks, and its buttons work."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.monitor import WAIT_S, Monitor, name_of, require_flower
from tests.compat.sides import Side
from tests.stage import eventually
from tests.workers import Worker

require_flower()
SIDES = ["shim redis", pytest.param("shim rabbitmq", marks=pytest.mark.rabbitmq)]
pytestmark = pytest.mark.parametrize("side", SIDES, indirect=True, scope="module")


@pytest.fixture(scope="module")
def flower(side: Side, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitor]:
    with Monitor(side, tmp_path_factory.mktemp("flower")) as monitor:
        yield monitor


@pytest.fixture(scope="module")
def shown(side: Side, flower: Monitor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a worker that Flower shows; the tests of the module share it."""
    with side.worker(tmp_path_factory.mktemp("worker"), "-E", "worker.pool_restarts=1") as worker:
        name = name_of(worker)
        flower.wait_until(name, is_alive=True)
        yield name


def processes(flower: Monitor, worker: str) -> list[int]:
    found: list[int] = flower.refreshed(worker)["stats"]["pool"]["processes"]
    return found


def scale(flower: Monitor, worker: str) -> tuple[int, int]:
    scaler = flower.refreshed(worker)["stats"]["autoscaler"]
    return scaler["min"], scaler["max"]


def queues(flower: Monitor, worker: str) -> list[str]:
    return sorted(queue["name"] for queue in flower.refreshed(worker)["active_queues"])


def test_the_broker_page_counts_what_waits(side: Side, flower: Monitor) -> None:
    if flower.get("/api/workers", status=True):
        pytest.fail("a worker takes what should wait: this test comes before those that start one")
    # Each task to the list of its priority.
    for priority in (0, 3, 9):
        side.tasks.add.apply_async((1, 1), priority=priority)

    (counted,) = flower.get("/api/queues/length")["active_queues"]
    page = flower.get("/broker")

    assert (counted["name"], counted["messages"]) == ("celery", 3)
    assert "celery" in page
    assert "No queue data" not in page
    side.program.app.control.purge()
    assert flower.get("/api/queues/length")["active_queues"][0]["messages"] == 0


def test_a_worker_has_its_page(flower: Monitor, shown: str) -> None:
    found = flower.refreshed(shown)

    assert len(found["stats"]["pool"]["processes"]) == 2
    assert found["stats"]["prefetch_count"] == 8
    assert [queue["name"] for queue in found["active_queues"]] == ["celery"]
    assert "compat_program.add" in found["registered"]
    assert shown in flower.get(f"/worker/{shown}")


def test_a_task_that_is_applied_gives_its_result_and_has_its_page(flower: Monitor, shown: str) -> None:
    applied = flower.press("/api/task/apply/compat_program.add", {"args": [20, 22]})

    assert applied["result"] == 42
    told = flower.wait_for(applied["task-id"], "SUCCESS")
    assert (told["name"], told["worker"], told["args"]) == ("compat_program.add", shown, "[20, 22]")
    assert told["result"] == "42"
    assert "compat_program.add" in flower.get(f"/task/{applied['task-id']}")


def test_a_failure_is_shown_with_its_traceback(flower: Monitor, shown: str) -> None:
    sent = flower.press("/api/task/send-task/compat_program.fail", {"args": ["no such order"]})

    told = flower.wait_for(sent["task-id"], "FAILURE")
    assert told["exception"] == "ValueError('no such order')"
    assert "compat_program" in told["traceback"]


def test_a_revoked_task_does_not_run(side: Side, flower: Monitor, shown: str, name: str) -> None:
    waiting = flower.send("note", name, countdown=3)
    flower.wait_for(waiting, "RECEIVED")

    flower.press(f"/api/task/revoke/{waiting}")

    flower.wait_for(waiting, "REVOKED")
    assert side.marks(name) == []


def test_a_running_task_is_terminated(side: Side, flower: Monitor, shown: str, name: str) -> None:
    running = flower.send("sleep_and_note", name, 120)
    eventually(lambda: side.marks(name) == ["begin"], within_s=WAIT_S)

    flower.press(f"/api/task/revoke/{running}", terminate=True)

    flower.wait_for(running, "REVOKED")
    eventually(lambda: len(processes(flower, shown)) == 2, within_s=WAIT_S)
    assert side.marks(name) == ["begin"]


def test_the_pool_grows_and_shrinks(flower: Monitor, shown: str) -> None:
    flower.press(f"/api/worker/pool/grow/{shown}", n=2)
    eventually(lambda: len(processes(flower, shown)) == 4, within_s=WAIT_S)

    flower.press(f"/api/worker/pool/shrink/{shown}", n=2)

    eventually(lambda: len(processes(flower, shown)) == 2, within_s=WAIT_S)


def test_the_pool_is_restarted_with_other_processes(flower: Monitor, shown: str) -> None:
    before = set(processes(flower, shown))

    flower.press(f"/api/worker/pool/restart/{shown}")

    eventually(lambda: not before & set(processes(flower, shown)), within_s=WAIT_S)
    eventually(lambda: len(processes(flower, shown)) == 2, within_s=WAIT_S)
    assert flower.press("/api/task/apply/compat_program.add", {"args": [1, 1]})["result"] == 2


def test_a_queue_is_read_and_left(side: Side, flower: Monitor, shown: str, name: str) -> None:
    flower.press(f"/api/worker/queue/add-consumer/{shown}", queue="extra")
    # Flower may show what a worker answered a moment after the page that asked for it.
    eventually(lambda: queues(flower, shown) == ["celery", "extra"], within_s=WAIT_S)
    flower.wait_for(flower.send("add", 1, 1, queue="extra"), "SUCCESS")

    flower.press(f"/api/worker/queue/cancel-consumer/{shown}", queue="extra")

    eventually(lambda: queues(flower, shown) == ["celery"], within_s=WAIT_S)
    flower.send("note", name, queue="extra")
    flower.wait_for(flower.send("add", 1, 1), "SUCCESS")
    assert side.marks(name) == []


def test_limits_are_set(flower: Monitor, shown: str) -> None:
    flower.press("/api/task/rate-limit/compat_program.note", workername=shown, ratelimit="7/m")
    answer = flower.press("/api/task/timeout/compat_program.early", workername=shown, soft=5, hard=9)

    assert answer["message"] == "time limits set successfully"
    limited = "compat_program.note [rate_limit=7/m]"
    eventually(lambda: limited in flower.refreshed(shown)["registered"], within_s=WAIT_S)


@pytest.fixture
def scaled(side: Side, folder: Path) -> Iterator[Worker]:
    with side.worker(folder, "-E", "--autoscale=2,1") as worker:
        yield worker


def test_a_worker_is_scaled_and_then_shut_down(flower: Monitor, scaled: Worker) -> None:
    name = name_of(scaled)
    flower.wait_until(name, is_alive=True)

    flower.press(f"/api/worker/pool/autoscale/{name}", min=3, max=4)

    eventually(lambda: len(processes(flower, name)) >= 3, within_s=WAIT_S)
    eventually(lambda: scale(flower, name) == (3, 4), within_s=WAIT_S)

    flower.press(f"/api/worker/shutdown/{name}")

    eventually(lambda: not scaled.is_alive, within_s=WAIT_S)
    flower.wait_until(name, is_alive=False)
