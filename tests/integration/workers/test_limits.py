"""Limits, where a task or its worker does not play along: code in C, killed workers, both backends at once."""

from typing import Any

import pytest

from queues import Handle, State, Task, errors
from tests.integration.workers.conftest import Begin, StageOf
from tests.stage import LEASE_S, Stage, eventually

PATIENCE_S = 60.0
LONG_S = 600.0
THREADS = ("celery threads", "dramatiq")


def task(stage: Stage, name: str) -> Task[..., Any]:
    return stage.program.tasks.get(f"program.{name}")


def failure_of(handle: Handle) -> errors.Failure:
    with pytest.raises(errors.TaskFailedError) as caught:
        handle.result(timeout=PATIENCE_S)
    return caught.value.failure


def test_a_system_call_of_celerys_child_is_ended(stage_of: StageOf, begin: Begin, name: str):
    stage = stage_of("celery")
    begin(stage, "celery", concurrency=2)
    sleeping = task(stage, "sleeps").send(name, LONG_S)
    listening = task(stage, "listens").send(f"{name}-listens")
    eventually(lambda: stage.effects(f"{name}-listens"), within_s=PATIENCE_S)
    listening.cancel()

    assert sleeping.result(timeout=PATIENCE_S) == "woken"
    assert failure_of(listening).code == "cancelled"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["computes", "keeps_the_interpreter"])
def test_a_child_of_celery_that_no_exception_reaches_is_killed_once(stage_of, begin, name: str, kind):
    stage = stage_of("celery")
    worker = begin(stage, "celery", concurrency=1)
    handle = task(stage, kind).send(name)
    eventually(lambda: stage.effects(name), within_s=PATIENCE_S)
    behind = stage.program.echo.send(f"{name}-behind", 1)
    failure = failure_of(handle)

    assert failure.code == "time_limit"
    assert behind.result(timeout=PATIENCE_S) == 1  # the only child is free again
    assert worker.is_alive
    assert handle.state is State.FAILED
    assert handle.status().lost == 0
    assert stage.effects(name) == ["began"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", THREADS)
def test_the_outcome_of_a_stuck_thread_is_stored_before_it_returns(stage_of: StageOf, begin: Begin, name: str, kind):
    stage = stage_of(kind)
    worker = begin(stage, kind, concurrency=1)
    handle = task(stage, "is_stuck").send(name, 6.0)
    eventually(lambda: stage.effects(name), within_s=PATIENCE_S)
    behind = stage.program.echo.send(f"{name}-behind", 1)
    failure = failure_of(handle)
    is_behind = not behind.status().is_final

    assert failure.code == "time_limit"
    assert is_behind
    assert behind.result(timeout=PATIENCE_S) == 1
    assert stage.effects(name) == ["began"]  # the exception waited for it
    assert "does not end" in worker.log


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["celery", *THREADS])
def test_the_slots_of_a_killed_worker_are_free_again(stage_of: StageOf, begin: Begin, name: str, kind):
    stage = stage_of(kind)
    worker = begin(stage, kind, concurrency=2)
    shares = task(stage, "shares")
    holders = [shares.send(name, "one", number, LONG_S) for number in range(2)]
    eventually(lambda: len(stage.effects(f"{name}-one")) == 2, within_s=PATIENCE_S)
    waiting = shares.send(name, "one", 2, 0.01)

    worker.kill()
    for holder in holders:
        holder.cancel()
    worker.start()

    assert waiting.result(timeout=PATIENCE_S) == 2
    assert [failure_of(holder).code for holder in holders] == ["cancelled"] * 2
    assert stage.effects(f"{name}-one") == ["in", "in", "in", "out"]


@pytest.mark.slow
def test_workers_of_both_backends_share_the_slots(stage_of: StageOf, begin: Begin, name: str):
    celery = stage_of("celery")
    dramatiq = stage_of("dramatiq", redis_url=celery.redis_url)
    begin(celery, "celery", concurrency=3)
    begin(dramatiq, "dramatiq", concurrency=3)
    handles = [
        task(stage, "shares").send(name, "one", 2 * n + place, 0.2)
        for n in range(6)
        for place, stage in ((0, celery), (1, dramatiq))
    ]

    assert [handle.result(timeout=PATIENCE_S) for handle in handles] == list(range(12))
    marks = celery.effects(f"{name}-one")
    running = [sum(1 if mark == "in" else -1 for mark in marks[:end]) for end in range(1, len(marks) + 1)]
    assert max(running) == 2


@pytest.mark.slow
def test_workers_of_both_backends_share_the_rate(stage_of: StageOf, begin: Begin, name: str):
    celery = stage_of("celery")
    dramatiq = stage_of("dramatiq", redis_url=celery.redis_url)
    begin(celery, "celery")
    begin(dramatiq, "dramatiq")
    handles = [
        task(stage, "is_rated").send(name, 2 * n + place)
        for n in range(8)
        for place, stage in ((0, celery), (1, dramatiq))
    ]

    assert [handle.result(timeout=PATIENCE_S) for handle in handles] == list(range(16))
    starts_ms = sorted(int(text.removeprefix("at-")) for text in celery.effects(name))
    assert len(starts_ms) == 16
    assert starts_ms[-1] - starts_ms[0] >= 15 * 200 - 500  # a mark comes after its start


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["celery", "dramatiq"])
def test_a_task_that_holds_the_interpreter_keeps_its_slot(stage_of: StageOf, begin: Begin, name: str, kind):
    stage = stage_of(kind)
    begin(stage, kind, concurrency=1)
    holder = task(stage, "holds_slot_and_interpreter").send(name, 1, round(3 * LEASE_S))
    eventually(lambda: stage.effects(name), within_s=PATIENCE_S)
    begin(stage, kind, concurrency=1)
    waiting = task(stage, "holds_slot_and_interpreter").send(name, 2, 0)

    assert [handle.result(timeout=PATIENCE_S) for handle in (holder, waiting)] == [1, 2]
    assert stage.effects(name) == ["in", "out", "in", "out"]
    assert holder.status().lost == 0
