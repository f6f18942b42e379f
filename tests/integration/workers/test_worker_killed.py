"""Workers that are asked to stop in the middle of a task, and a killed one that held a delayed message."""

import os
import signal

import pytest

from queues import State
from tests.integration.workers.conftest import Begin, StageOf
from tests.integration.workers.outcomes import assert_one_outcome_of_a_later_run, runs_of
from tests.stage import eventually

KINDS = ("celery", "celery threads", "dramatiq")
PLACES = [
    *((kind, "redis") for kind in KINDS),
    *(pytest.param(kind, "rabbitmq", marks=pytest.mark.rabbitmq) for kind in ("celery", "dramatiq")),
]
PATIENCE_S = 60.0
"""Far above what is measured, for a busy machine; a lost message would wait for an hour."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["celery", "dramatiq"])
def test_a_delayed_message_that_a_killed_worker_held_is_not_late_by_an_hour(stage_of, begin, name: str, kind):
    stage = stage_of(kind)
    worker = begin(stage, kind)
    handle = stage.program.echo.send_with_options((name, 1), delay=1.5)
    # The worker has fetched what was sent before this.
    stage.program.echo.send(f"{name}-behind", 1).result()

    worker.kill()
    worker.start()

    assert handle.result(timeout=PATIENCE_S) == 1
    assert stage.effects(name) == ["ran"]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "broker"), PLACES)
def test_a_worker_that_is_asked_to_stop_finishes_and_loses_nothing(stage_of, begin, name: str, kind, broker):
    stage = stage_of(kind, broker)
    worker = begin(stage, kind, concurrency=1)
    running = stage.program.steps.send(name, 6, 0.2)
    queued = stage.program.steps.send(f"{name}-queued", 1, 0.01)
    eventually(lambda: "step-0" in stage.effects(name))

    worker.ask_to_stop()
    worker.wait()
    state_at_the_end = running.state
    worker.start()

    assert state_at_the_end is State.COMPLETED
    assert running.result() == f"{name}: 6 steps"
    assert queued.result(timeout=PATIENCE_S) == f"{name}-queued: 1 steps"
    assert len(runs_of(stage, name)) == 1
    assert len(runs_of(stage, f"{name}-queued")) == 1


@pytest.mark.slow
def test_a_dramatiq_worker_that_may_not_finish_loses_nothing(stage_of: StageOf, begin: Begin, name: str):
    stage = stage_of("dramatiq")
    worker = begin(stage, "dramatiq", arguments=("--worker-shutdown-timeout", "300"))
    handle = stage.program.steps.send(name, 10, 0.2)
    eventually(lambda: "step-1" in stage.effects(name))

    worker.ask_to_stop()
    worker.wait()
    worker.start()

    assert handle.result(timeout=PATIENCE_S) == f"{name}: 10 steps"
    assert_one_outcome_of_a_later_run(stage, name)


@pytest.mark.slow
def test_celerys_cold_shutdown_loses_nothing(stage_of: StageOf, begin: Begin, name: str):
    stage = stage_of("celery")
    worker = begin(stage, "celery")
    handle = stage.program.steps.send(name, 10, 0.2)
    eventually(lambda: "step-1" in stage.effects(name))

    os.kill(worker.pid, signal.SIGQUIT)
    worker.wait()
    worker.start()

    assert handle.result(timeout=PATIENCE_S) == f"{name}: 10 steps"
    assert_one_outcome_of_a_later_run(stage, name)
