"""Workers that are killed in the middle: what is acknowledged late runs again, what is acknowledged early does not."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.sides import Side
from tests.stage import eventually

WAIT_S = 60
LONG_S = 120


@pytest.fixture(autouse=True)
def _redelivered_soon(monkeypatch: pytest.MonkeyPatch, side: Side) -> Iterator[None]:
    side.environment["COMPAT_REDELIVERY_S"] = "3"
    yield
    side.environment.pop("COMPAT_REDELIVERY_S")


@pytest.mark.slow
def test_a_task_acknowledged_late_runs_again_after_its_worker_was_killed(side: Side, name: str, folder: Path) -> None:
    if side.name == "celery" and side.environment["BROKER_URL"].startswith("redis"):
        pytest.skip("Celery looks for what is past its visibility timeout every 100 s")
    with side.worker(folder, concurrency=1) as worker:
        result = side.tasks.late.delay(name, 4)
        eventually(lambda: side.marks(name) == ["begin"], within_s=WAIT_S)
        worker.kill()

    with side.worker(folder, concurrency=1):
        eventually(lambda: len(side.marks(name)) > 1, within_s=WAIT_S)
        assert result.get(timeout=WAIT_S) == "done"


@pytest.mark.slow
def test_a_task_acknowledged_early_does_not(side: Side, name: str, folder: Path) -> None:
    with side.worker(folder, concurrency=1) as worker:
        side.tasks.early.delay(name, LONG_S)
        eventually(lambda: side.marks(name) == ["begin"], within_s=WAIT_S)
        worker.kill()

    with side.worker(folder, concurrency=1):
        assert side.tasks.add.delay(1, 1).get(timeout=WAIT_S) == 2
        later = side.tasks.note.apply_async((f"{name} later",), countdown=5)
        assert later.get(timeout=WAIT_S) == 1
        assert side.marks(name) == ["begin"]


def test_a_killed_child_gives_its_late_task_to_another(side: Side, name: str, folder: Path) -> None:
    with side.worker(folder, concurrency=1):
        result = side.tasks.late_dying.delay(name)

        assert result.get(timeout=WAIT_S) == "second"
        assert side.marks(name) == ["run", "run"]


def test_a_warm_shutdown_ends_what_runs_and_gives_back_the_rest(side: Side, name: str, folder: Path) -> None:
    with side.worker(folder, concurrency=1) as worker:
        results = [side.tasks.sleep_and_note.delay(name, 2), *(side.tasks.note.delay(f"{name} {i}") for i in range(3))]
        eventually(lambda: side.marks(name) == ["begin"], within_s=WAIT_S)
        worker.stop()
        assert side.marks(name) == ["begin", "end"]

    with side.worker(folder, concurrency=1):
        for result in results:
            result.get(timeout=WAIT_S)
    assert [side.marks(f"{name} {i}") for i in range(3)] == [["run"]] * 3


def test_a_cold_shutdown_gives_back_the_late_task_that_runs(side: Side, name: str, folder: Path) -> None:
    with side.worker(folder, concurrency=1) as worker:
        result = side.tasks.late.delay(name, 15)
        eventually(lambda: side.marks(name) == ["begin"], within_s=WAIT_S)
        os.kill(worker.pid, signal.SIGQUIT)
        worker.wait()

    with side.worker(folder, concurrency=1):
        eventually(lambda: len(side.marks(name)) == 2, within_s=WAIT_S)
        result.revoke(terminate=True)
        eventually(lambda: result.state == "REVOKED", within_s=WAIT_S)


def test_the_process_that_forks_the_children_can_be_killed(side: Side, name: str, folder: Path) -> None:
    if side.name == "celery":
        pytest.skip("Celery's main process forks its children itself")
    with side.worker(folder, concurrency=2):
        forker = side.tasks.parent_pid.delay().get(timeout=WAIT_S)
        running = side.tasks.late.delay(name, 4)
        eventually(lambda: side.marks(name) == ["begin"], within_s=WAIT_S)
        os.kill(forker, signal.SIGKILL)

        assert running.get(timeout=WAIT_S) == "done"
        assert side.marks(name) == ["begin", "begin"]
        assert side.tasks.parent_pid.delay().get(timeout=WAIT_S) != forker
