"""Remote control: every command of `inspect` and `control` answers as Celery's worker does."""

from typing import Any

import pytest

from tests.compat.sides import Side
from tests.stage import eventually
from tests.workers import Worker

PROGRAM = "compat_features"
WAIT_S = 60
ANSWER_S = 60.0

pytestmark = pytest.mark.usefixtures("reachable")


def told(side: Side, command: str, *args: Any, **kwargs: Any) -> Any:
    """What the one worker answered to a command of `app.control`."""
    (reply,) = getattr(side.program.app.control, command)(*args, reply=True, timeout=ANSWER_S, limit=1, **kwargs)
    (answer,) = reply.values()
    return answer


def inspected(side: Side, command: str, *args: Any) -> Any:
    """What the one worker answered to a command of `inspect`."""
    found = getattr(side.program.app.control.inspect(timeout=ANSWER_S, limit=1), command)(*args)
    (answer,) = found.values()
    return answer


def test_it_answers_a_ping(side: Side) -> None:
    assert inspected(side, "ping") == {"ok": "pong"}


def test_it_tells_its_settings_its_report_and_its_clock(side: Side) -> None:
    assert inspected(side, "conf")["task_track_started"] is True
    assert "software -> celery:5" in inspected(side, "report")["ok"]
    assert inspected(side, "clock")["clock"] > 0
    assert "compat_features.echo" in inspected(side, "registered")
    assert "compat_features.hourly [rate_limit=1/h]" in inspected(side, "registered", "rate_limit")


def test_its_figures_are_those_of_celery(side: Side, worker: Worker) -> None:
    side.tasks.echo.delay(1).get(timeout=WAIT_S)

    stats = inspected(side, "stats")

    assert {"broker", "clock", "pid", "pool", "prefetch_count", "rusage", "total", "uptime"} <= set(stats)
    assert stats["pid"] == worker.pid
    assert stats["total"]["compat_features.echo"] >= 1
    assert {"max-concurrency", "max-tasks-per-child", "processes", "put-guarded-by-semaphore", "timeouts"} <= set(
        stats["pool"]
    )
    assert stats["pool"]["max-concurrency"] == len(stats["pool"]["processes"]) == 2


def test_it_lists_what_it_runs_holds_and_keeps_for_later(side: Side, name: str) -> None:
    running = [side.tasks.late_sleep.delay(f"{name} {i}", 5) for i in range(2)]
    eventually(lambda: all(side.marks(f"{name} {i}") for i in range(2)), within_s=WAIT_S)
    held = side.tasks.echo.delay(name)
    later = side.tasks.echo.apply_async((name,), countdown=600)

    eventually(lambda: later.id in {entry["request"]["id"] for entry in inspected(side, "scheduled")}, within_s=WAIT_S)
    active = inspected(side, "active")
    assert {task["id"] for task in active} == {result.id for result in running}
    assert {task["name"] for task in active} == {"compat_features.late_sleep"}
    assert all(task["worker_pid"] and task["time_start"] for task in active)
    assert held.id in {task["id"] for task in inspected(side, "reserved")}
    (state, described) = inspected(side, "query_task", [running[0].id])[running[0].id]
    assert (state, described["args"]) == ("active", [f"{name} 0", 5])
    assert [result.get(timeout=WAIT_S) for result in running] == ["done"] * 2
    later.revoke()
    eventually(lambda: later.id in inspected(side, "revoked"), within_s=WAIT_S)


def test_a_rate_limit_is_set_and_lifted(side: Side, name: str) -> None:
    assert told(side, "rate_limit", "compat_features.note", "1/h") == {"ok": "new rate limit set successfully"}
    for _ in range(3):
        side.tasks.note.delay(name)
    eventually(lambda: side.marks(name) == ["run"], within_s=WAIT_S)
    assert side.tasks.echo.delay(1).get(timeout=WAIT_S) == 1
    assert side.marks(name) == ["run"]

    assert "ok" in told(side, "rate_limit", "compat_features.note", 0)

    last = side.tasks.note.delay(f"{name} last")
    assert last.get(timeout=WAIT_S) == 1
    assert told(side, "rate_limit", "compat_features.nobody", "1/s") == {"error": "unknown task"}
    assert "error" in told(side, "rate_limit", "compat_features.note", "often")


def test_time_limits_are_set(side: Side) -> None:
    # Celery's worker made its requests with the old limits: what it runs from now on keeps them there, too.
    assert told(side, "time_limit", "compat_features.limited_sleep", soft=1, hard=20) == {
        "ok": "time limits set successfully"
    }
    assert told(side, "time_limit", "compat_features.nobody", soft=1) == {"error": "unknown task"}


def test_processes_are_added_and_taken_away(side: Side) -> None:
    assert told(side, "pool_grow", 2) == {"ok": "pool will grow"}
    eventually(lambda: len(inspected(side, "stats")["pool"]["processes"]) == 4, within_s=WAIT_S)

    assert told(side, "pool_shrink", 2) == {"ok": "pool will shrink"}

    eventually(lambda: len(inspected(side, "stats")["pool"]["processes"]) == 2, within_s=WAIT_S)
    assert side.tasks.echo.delay(3).get(timeout=WAIT_S) == 3


def test_the_pool_is_restarted(side: Side) -> None:
    before = set(inspected(side, "stats")["pool"]["processes"])

    assert told(side, "pool_restart", modules=["compat_features"], reload=False) == {"ok": "reload started"}

    eventually(lambda: before != set(inspected(side, "stats")["pool"]["processes"]), within_s=WAIT_S)
    assert side.tasks.echo.delay(3).get(timeout=WAIT_S) == 3


def test_a_queue_is_taken_and_left(side: Side, name: str) -> None:
    result = side.tasks.note.apply_async((name,), queue=name)

    assert told(side, "add_consumer", name) == {"ok": f"add consumer {name}"}

    assert result.get(timeout=WAIT_S) == 1
    assert name in {queue["name"] for queue in inspected(side, "active_queues")}
    assert told(side, "cancel_consumer", name) == {"ok": f"no longer consuming from {name}"}
    eventually(lambda: name not in {q["name"] for q in inspected(side, "active_queues")}, within_s=WAIT_S)
    waiting = side.tasks.note.apply_async((name,), queue=name)
    assert side.tasks.echo.delay(1).get(timeout=WAIT_S) == 1
    assert waiting.state == "PENDING"


def test_events_are_switched_on_and_off(side: Side) -> None:
    assert told(side, "enable_events") == {"ok": "task events enabled"}
    assert told(side, "enable_events") == {"ok": "task events already enabled"}
    assert told(side, "disable_events") == {"ok": "task events disabled"}


def test_a_task_is_terminated_by_its_id(side: Side, name: str) -> None:
    result = side.tasks.late_sleep.delay(name, 60)
    eventually(lambda: side.marks(name) == ["begin"], within_s=WAIT_S)

    side.program.app.control.terminate(result.id, signal="SIGKILL")

    eventually(lambda: result.state == "REVOKED", within_s=WAIT_S)
    assert side.tasks.echo.delay(5).get(timeout=WAIT_S) == 5
