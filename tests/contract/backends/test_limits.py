"""Limits of a task, and what reaches it from outside: the same on every backend and broker."""

import pytest

from queues import Handle, State, Task, errors
from queues.backends.memory import MemoryBackend
from queues.idempotency.key import digest_of
from tests.stage import Stage, eventually

PATIENCE_S = 60.0
both = pytest.mark.parametrize("suffix", ["", "_async"], ids=["sync", "async"])


def task(stage: Stage, name: str) -> Task[..., object]:
    return stage.program.tasks.get(f"program.{name}")


def failure_of(handle: Handle) -> errors.Failure:
    with pytest.raises(errors.TaskFailedError) as caught:
        handle.result(timeout=PATIENCE_S)
    return caught.value.failure


@both
def test_a_task_catches_its_soft_time_limit_and_ends(stage: Stage, name: str, suffix: str):
    handle = task(stage, f"hurries{suffix}").send(name, catches=True)

    assert handle.result(timeout=PATIENCE_S) == "half"
    assert stage.effects(name) == ["attempt-1", "cleaned-up"]


@both
def test_an_attempt_that_its_soft_time_limit_ends_is_retried(stage: Stage, name: str, suffix: str):
    failure = failure_of(task(stage, f"hurries{suffix}").send(name, catches=False))

    assert failure.code == "soft_time_limit"
    assert stage.effects(name) == ["attempt-1", "cleaned-up", "attempt-2", "cleaned-up"]


@both
def test_a_task_that_runs_for_its_time_limit_has_failed(stage: Stage, name: str, suffix: str):
    handle = task(stage, f"overruns{suffix}").send(name)
    failure = failure_of(handle)

    assert failure.code == "time_limit"
    assert failure.type == "queues.errors.TimeLimitError"
    assert handle.state is State.FAILED
    assert stage.effects(name) == ["ran"]


def test_starts_are_no_closer_than_the_rate_allows(stage: Stage, name: str):
    calls = [(name, number) for number in range(6)]
    handles = task(stage, "is_rated").send_many(calls)
    # Repetitions are answered, or wait as the same message, and take no turn.
    again = task(stage, "is_rated").send_many(calls)

    assert [handle.result(timeout=PATIENCE_S) for handle in handles] == list(range(6))
    assert [handle.result(timeout=PATIENCE_S) for handle in again] == list(range(6))
    starts_ms = sorted(int(text.removeprefix("at-")) for text in stage.effects(name))
    assert len(starts_ms) == 6
    # Six starts are five intervals of 200 ms. The mark comes after the start: the last only can be late.
    assert starts_ms[-1] - starts_ms[0] >= 800
    assert all(handle.status().attempt == 1 for handle in handles)


def test_no_more_runs_of_a_key_at_once_than_it_allows(stage: Stage, name: str):
    handles = [
        task(stage, "shares").send(name, owner, number, 0.3) for number in range(4) for owner in ("one", "another")
    ]

    assert [handle.result(timeout=PATIENCE_S) for handle in handles] == [n for n in range(4) for _ in range(2)]
    for owner in ("one", "another"):
        marks = stage.effects(f"{name}-{owner}")
        running = [sum(1 if mark == "in" else -1 for mark in marks[:end]) for end in range(1, len(marks) + 1)]
        assert len(marks) == 8
        assert max(running) <= 2
    assert all(handle.status().attempt == 1 for handle in handles)


@both
def test_the_loss_of_its_lease_reaches_a_task_that_never_asks(stage: Stage, name: str, suffix: str):
    handle = task(stage, f"never_asks{suffix}").send(name)
    eventually(lambda: stage.effects(name), within_s=PATIENCE_S)

    forget(stage, handle)

    eventually(lambda: stage.effects(name) == ["began", "stopped"], within_s=PATIENCE_S)
    assert handle.result(timeout=PATIENCE_S) == "run again"


def forget(stage: Stage, handle: Handle) -> None:
    """Take the record away, as if Redis had lost it."""
    digest = digest_of(handle.id)
    if isinstance(stage.queue.backend, MemoryBackend):
        del stage.queue.store._records[digest]
    else:
        stage.ledger.delete(*stage.queue.store.keys.of(digest)[:2])


@both
def test_current_speaks_of_the_run(stage: Stage, name: str, suffix: str):
    handle = task(stage, f"tells{suffix}").send(name)
    said = handle.result(timeout=PATIENCE_S)

    marks = stage.marks(name)
    assert said["token"] == marks[1][2] == handle.status().token
    assert marks[0][2] < marks[1][2]
    assert said["attempt"] == 2
    assert said["message_id"] == handle.id
    assert said["is_cancelled"] is False
    first, repeated, other = said["subkeys"]
    assert first == repeated != other
    assert [mark[0] for mark in marks] == [first, first]  # the same in every attempt


def test_a_cancelled_task_that_asks_is_told(stage: Stage, name: str):
    handle = task(stage, "asks").send(name)
    eventually(lambda: stage.effects(name), within_s=PATIENCE_S)
    handle.cancel()

    assert failure_of(handle).code == "cancelled"
    assert stage.effects(name) == ["began", "cancelled-True"]
