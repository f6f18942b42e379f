"""Signals of the worker and of tasks: the same, in the same order, on both sides."""

from pathlib import Path

import pytest

from tests.compat.sides import Side
from tests.stage import eventually

WAIT_S = 60
IN_ORDER = (
    "celeryd_init",
    "worker_init",
    "celeryd_after_setup",
    "worker_ready",
    "task_received",
    "task_prerun",
    "task_success",
    "task_postrun",
    "worker_shutting_down",
    "worker_shutdown",
)


def test_signals_fire_at_the_same_points(side: Side, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(side.environment, "COMPAT_SIGNALS", name)
    with side.worker(folder, concurrency=1) as worker:
        assert side.tasks.add.delay(1, 1).get(timeout=WAIT_S) == 2
        eventually(lambda: "task_postrun" in side.marks(name), within_s=WAIT_S)
        side.tasks.flaky.delay(f"{name} retried", 1).get(timeout=WAIT_S)
        side.program.app.send_task("compat_program.nobody_knows_me")
        side.tasks.add.apply_async((1, 1), countdown=60, task_id=f"{name} revoked")
        eventually(lambda: "task_unknown" in side.marks(name), within_s=WAIT_S)
        side.program.app.control.revoke(f"{name} revoked")
        worker.stop()

    seen = side.marks(name)
    assert [signal for signal in dict.fromkeys(seen) if signal in IN_ORDER] == list(IN_ORDER)
    assert {"worker_process_init", "worker_process_shutdown", "task_retry", "task_unknown"} <= set(seen)
    assert {"before_task_publish", "after_task_publish"} <= set(seen)
