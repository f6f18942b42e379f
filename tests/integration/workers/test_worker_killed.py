"""Workers that die, freeze and are stopped in the middle of a task."""

import os
import signal
import time

import pytest

from queues import State, errors
from tests.integration.workers.conftest import Begin, StageOf
from tests.stage import LEASE_S, Stage, eventually

KINDS = ("celery", "celery threads", "dramatiq")
PLACES = [
    *((kind, "redis") for kind in KINDS),
    *(pytest.param(kind, "rabbitmq", marks=pytest.mark.rabbitmq) for kind in ("celery", "dramatiq")),
]
PATIENCE_S = 20.0
"""Far above what is measured, for a busy machine; a lost message would wait for an hour."""


def runs_of(stage: Stage, name: str) -> list[int]:
    """The fencing token of each run, in the order in which they began."""
    return list(dict.fromkeys(token for _, _, token, _ in stage.marks(name)))


def assert_one_outcome_of_a_later_run(stage: Stage, name: str) -> None:
    runs = runs_of(stage, name)
    done = [token for text, _, token, _ in stage.marks(name) if text == "done"]
    assert len(runs) == 2
    assert runs[1] > runs[0]
    assert done == [runs[1]]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "broker"), PLACES)
def test_the_work_of_a_killed_worker_goes_on(stage_of: StageOf, begin: Begin, name: str, kind, broker):
    stage = stage_of(kind, broker)
    worker = begin(stage, kind)
    handle = stage.program.steps.send(name, 5, 0.2)
    eventually(lambda: "step-1" in stage.effects(name))

    worker.kill()
    killed_s = time.monotonic()
    worker.start()
    ready_s = time.monotonic()
    result = handle.result(timeout=PATIENCE_S)
    ended_s = time.monotonic()

    began_s = runs_of(stage, name)[1] / 1e6 - time.time() + time.monotonic()
    print(f"\n{kind} on {broker}: lease {LEASE_S} s; begun again {began_s - killed_s:.2f} s after the kill,", end=" ")
    print(f"{began_s - ready_s:.2f} s after the new worker; done {ended_s - killed_s:.2f} s after the kill")
    assert result == f"{name}: 5 steps"
    assert_one_outcome_of_a_later_run(stage, name)
    assert handle.status().token == runs_of(stage, name)[1]


@pytest.mark.slow
@pytest.mark.parametrize("broker", ["redis", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def test_the_work_of_a_killed_child_of_celery_goes_on(stage_of: StageOf, begin: Begin, name: str, broker: str):
    stage = stage_of("celery", broker)
    worker = begin(stage, "celery")
    handle = stage.program.steps.send(name, 5, 0.2)
    eventually(lambda: "step-1" in stage.effects(name))

    os.kill(stage.marks(name)[0][1], signal.SIGKILL)
    killed_s = time.monotonic()
    result = handle.result(timeout=PATIENCE_S)

    print(f"\ncelery's child on {broker}: lease {LEASE_S} s; done {time.monotonic() - killed_s:.2f} s after the kill")
    assert result == f"{name}: 5 steps"
    assert worker.is_alive
    assert_one_outcome_of_a_later_run(stage, name)


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
@pytest.mark.parametrize("kind", KINDS)
def test_a_task_that_kills_every_worker_is_dead_at_last(stage_of: StageOf, begin: Begin, name: str, kind):
    stage = stage_of(kind)
    worker = begin(stage, kind)
    handle = stage.program.kills_its_worker.send(name)
    deadline = time.monotonic() + 2 * PATIENCE_S
    while not handle.status().is_final and time.monotonic() < deadline:
        if not worker.is_alive:
            worker.restart()
        time.sleep(0.05)

    assert handle.state is State.DEAD
    assert stage.effects(name) == ["ran", "ran"]  # max_lost=1
    with pytest.raises(errors.TaskFailedError) as caught:
        handle.result()
    assert caught.value.failure.code == "dead"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "task"), [*((kind, "steps") for kind in KINDS), ("celery", "steps_async"), ("dramatiq", "steps_async")]
)
def test_a_frozen_worker_is_fenced_when_it_wakes(stage_of: StageOf, begin: Begin, name: str, kind, task):
    stage = stage_of(kind)
    frozen = begin(stage, kind)
    handle = getattr(stage.program, task).send(name, 8, 0.2)
    eventually(lambda: "step-1" in stage.effects(name))

    frozen.signal(signal.SIGSTOP)
    winner = begin(stage, kind)
    result = handle.result(timeout=PATIENCE_S)
    winner.kill()
    frozen.signal(signal.SIGCONT)
    # The woken worker must drop the old run and be of use again.
    after = stage.program.echo.send(f"{name}-after", 1).result(timeout=PATIENCE_S)

    assert result == f"{name}: 8 steps"
    assert after == 1
    eventually(lambda: "lost" in frozen.log or "fenced" in frozen.log)
    assert_one_outcome_of_a_later_run(stage, name)
    assert handle.status().token == runs_of(stage, name)[1]


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
