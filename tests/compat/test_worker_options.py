"""The worker's options and settings: the same on Celery's worker and on the shim's."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from celery.exceptions import QueueNotFound

from tests.compat.sides import MODULES, Side, reached
from tests.stage import eventually
from tests.workers import PROGRAMS

PROGRAM = "compat_features"
WAIT_S = 60


def test_a_child_that_holds_too_much_memory_is_replaced(side: Side, folder: Path) -> None:
    with side.worker(folder, "--max-memory-per-child", "200000", concurrency=1):
        before = side.tasks.pid.delay().get(timeout=WAIT_S)
        assert side.tasks.fill_memory.delay(1).get(timeout=WAIT_S) == before
        assert side.tasks.fill_memory.delay(300).get(timeout=WAIT_S) == before

        assert side.tasks.pid.delay().get(timeout=WAIT_S) != before


def test_limits_of_the_command_line_are_those_of_every_task(side: Side, name: str, folder: Path) -> None:
    with side.worker(folder, "--soft-time-limit", "1", "--time-limit", "3"):
        told = side.tasks.limited_sleep.delay(name)
        killed = side.tasks.progress.delay(name)

        assert told.get(timeout=WAIT_S) == "told"
        with pytest.raises(Exception, match="TimeLimitExceeded"):
            killed.get(timeout=WAIT_S)


def test_the_workers_beat_sends_what_is_due(
    side: Side, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(side.environment, "COMPAT_TICKS", name)
    with side.worker(folder, "-B", "-s", str(folder / "schedule")):
        eventually(lambda: len(side.marks(name)) >= 3, within_s=WAIT_S)


@pytest.mark.slow
def test_the_pool_grows_with_the_work_and_shrinks_again(
    side: Side, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(side.environment, "AUTOSCALE_KEEPALIVE", "1")
    with side.worker(folder, "--autoscale", "4,1"):
        assert side.tasks.echo.delay(1).get(timeout=WAIT_S) == 1
        running = [side.tasks.late_sleep.delay(f"{name} {i}", 4) for i in range(4)]

        eventually(lambda: all(side.marks(f"{name} {i}") for i in range(4)), within_s=WAIT_S)
        assert [result.get(timeout=WAIT_S) for result in running] == ["done"] * 4

        def processes() -> int:
            found = side.program.app.control.inspect(timeout=WAIT_S, limit=1).stats()
            return min(len(stats["pool"]["processes"]) for stats in found.values())

        eventually(lambda: processes() < 4, within_s=WAIT_S)


def test_the_formats_of_a_name_are_filled_in(side: Side, folder: Path) -> None:
    host = socket.gethostname()
    with side.worker(folder, "-n", "w-%n@%h"):
        (found,) = reached(side)

    assert list(found) == [f"w-{host.partition('.')[0]}@{host}"]


def test_a_queue_can_be_left_out(side: Side, folder: Path) -> None:
    waiting = side.tasks.routing_key.apply_async(queue="direct")
    with side.worker(folder, "-X", "direct"):
        assert side.tasks.echo.delay(1).get(timeout=WAIT_S) == 1
        assert waiting.state == "PENDING"
    with side.worker(folder):
        assert waiting.get(timeout=WAIT_S) == "direct"


def test_a_queue_that_is_not_declared_may_be_refused(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(side.environment, "COMPAT_SETTINGS", "known_queues")
    strict = side.twin()

    with pytest.raises(QueueNotFound, match="nowhere"):
        strict.tasks.echo.apply_async((1,), queue="nowhere")
    strict.close()


@pytest.mark.parametrize("setting", ["", "refuse_failures"])
def test_a_late_failure_is_acknowledged_as_the_setting_says(
    side: Side, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setitem(side.environment, "COMPAT_SETTINGS", setting)
    with side.worker(folder, concurrency=1):
        result = side.tasks.late_failing.delay(name)

        with pytest.raises(ValueError, match=name):
            result.get(timeout=WAIT_S)
        assert side.tasks.echo.delay(1).get(timeout=WAIT_S) == 1
    assert side.marks(name) == ["run"]


@pytest.mark.slow
def test_a_soft_shutdown_gives_what_runs_its_time_and_gives_back_the_rest(
    side: Side, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(side.environment, "COMPAT_SETTINGS", "soft_shutdown")
    with side.worker(folder) as worker:
        short, long = side.tasks.late_sleep.delay(f"{name} 1", 1.5), side.tasks.late_sleep.delay(f"{name} 2", 15)
        eventually(lambda: side.marks(f"{name} 1") and side.marks(f"{name} 2"), within_s=WAIT_S)
        os.kill(worker.pid, signal.SIGQUIT)
        worker.wait()

    assert side.marks(f"{name} 1") == ["begin", "end"]
    assert side.marks(f"{name} 2") == ["begin"]
    with side.worker(folder):
        assert short.get(timeout=WAIT_S) == "done"
        eventually(lambda: len(side.marks(f"{name} 2")) > 1, within_s=WAIT_S)
        long.revoke(terminate=True)
        eventually(lambda: long.state == "REVOKED", within_s=WAIT_S)


def test_a_worker_is_shut_down_from_afar(side: Side, folder: Path) -> None:
    with side.worker(folder) as worker:
        reached(side)
        side.program.app.control.shutdown()

        eventually(lambda: not worker.is_alive, within_s=WAIT_S)
        assert "Shutdown" in worker.log or "shutdown" in worker.log


def test_events_can_be_dumped(side: Side, folder: Path) -> None:
    command = [sys.executable, "-u", "-m", MODULES[side.name], "-A", side.module, "events", "--dump"]
    log = folder / "dump.log"
    with log.open("wb") as file, side.worker(folder, "-E"):
        dump = subprocess.Popen(command, env={**os.environ, **side.environment}, cwd=PROGRAMS, stdout=file, stderr=file)
        try:

            def is_dumped() -> bool:
                side.tasks.echo.delay("x").get(timeout=WAIT_S)
                return "compat_features.echo" in log.read_text() and "task succeeded" in log.read_text()

            eventually(is_dumped, within_s=WAIT_S)
        finally:
            dump.terminate()
            dump.wait()


def test_purge_says_what_it_dropped(side: Side, name: str) -> None:
    for _ in range(3):
        side.tasks.echo.apply_async((1,), queue=name)
    command = [sys.executable, "-m", MODULES[side.name], "-A", side.module, "purge", "-f", "-Q", name]

    ended = subprocess.run(
        command, env={**os.environ, **side.environment}, cwd=PROGRAMS, capture_output=True, text=True, check=True
    )

    assert "Purged 3 messages from 1 known task queue" in ended.stdout


@pytest.mark.parametrize("protocol", [1, 2])
def test_messages_of_celerys_own_producers_run(
    side: Side, folder: Path, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    monkeypatch.setitem(side.environment, "READS_CELERYS", "1")
    producer = side.twin("celery")
    producer.program.app.conf.task_protocol = protocol

    with side.worker(folder):
        assert producer.tasks.echo.apply_async(("ü",), countdown=0.1).get(timeout=WAIT_S) == "ü"
        assert side.tasks.echo.delay("own").get(timeout=WAIT_S) == "own"
    producer.close()


def test_pickle_is_refused_where_the_application_does_not_accept_it(
    side: Side, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(side.environment, "COMPAT_SETTINGS", "json_only")
    with side.worker(folder) as worker:
        side.tasks.note.apply_async((name,), serializer="pickle")

        assert side.tasks.echo.delay(1).get(timeout=WAIT_S) == 1
        eventually(
            lambda: "ContentDisallowed" in worker.log or "Refusing to deserialize" in worker.log, within_s=WAIT_S
        )
    assert side.marks(name) == []
