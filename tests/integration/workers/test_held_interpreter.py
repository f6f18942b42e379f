"""Tasks that hold the interpreter lock, so that no heartbeat thread of their process can run."""

import signal

import pytest

from tests.integration.workers.conftest import Begin, StageOf
from tests.stage import LEASE_S, eventually

PATIENCE_S = 60.0
HELD_S = round(3 * LEASE_S)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["celery", "celery threads", "dramatiq"])
def test_a_task_that_holds_the_interpreter_for_three_leases_runs_once(stage_of: StageOf, begin: Begin, name: str, kind):
    stage = stage_of(kind)
    begin(stage, kind, concurrency=1)
    handle = stage.program.holds_the_interpreter.send(name, HELD_S)
    eventually(lambda: "began" in stage.effects(name), within_s=PATIENCE_S)

    begin(stage, kind, concurrency=1)  # looks for work whose lease has ended
    result = handle.result(timeout=PATIENCE_S)

    assert result == name
    assert stage.effects(name) == ["began", "done"]
    assert handle.status().lost == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["celery", "celery threads", "dramatiq"])
def test_a_stopped_process_keeps_no_lease_although_its_standby_lives(stage_of, begin, name: str, kind):
    stage = stage_of(kind)
    stopped = begin(stage, kind, concurrency=1)
    handle = stage.program.holds_the_interpreter.send(name, HELD_S)
    eventually(lambda: "began" in stage.effects(name), within_s=PATIENCE_S)

    stopped.signal(signal.SIGSTOP)
    begin(stage, kind, concurrency=1)
    result = handle.result(timeout=PATIENCE_S)
    winner = handle.status().token
    stopped.signal(signal.SIGCONT)
    eventually(lambda: "fenced" in stopped.log or "lost" in stopped.log, within_s=PATIENCE_S)

    assert result == name
    assert winner > min(token for _, _, token, _ in stage.marks(name))
    assert handle.status().token == winner
