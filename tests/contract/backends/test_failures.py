"""Failures, retries and cancellation, the same on every backend and broker."""

import time

import pytest

from queues import Decision, Handle, State, errors
from tests.stage import Stage, eventually

STOPS_WITHIN_S = 15.0
"""Less than what a task would take that is not stopped."""


def failure_of(handle: Handle) -> errors.Failure:
    with pytest.raises(errors.TaskFailedError) as caught:
        handle.result()
    return caught.value.failure


def test_a_failed_attempt_is_repeated_after_its_backoff(stage: Stage, name: str):
    handle = stage.program.fails.send(name, 2)

    assert handle.result() == "succeeded in attempt 3"
    assert stage.effects(name) == ["attempt-1", "attempt-2", "attempt-3"]
    tokens = [mark[2] for mark in stage.marks(name)]
    assert tokens == sorted(set(tokens))
    # backoff 100 ms, then 200 ms; tokens are the store's clock in microseconds
    assert tokens[1] - tokens[0] >= 100_000
    assert tokens[2] - tokens[1] >= 200_000
    assert handle.status().attempt == 3


def test_a_waiting_attempt_is_seen(stage: Stage, name: str):
    handle = stage.program.asks_again.send(name)
    eventually(lambda: handle.state is State.WAITING)
    status = handle.status()

    assert status.retry_in_ms is None or status.retry_in_ms <= 200
    assert handle.result() == 2


def test_retry_with_a_delay_takes_that_delay(stage: Stage, name: str):
    handle = stage.program.asks_again.send(name)

    assert handle.result() == 2
    first, second = (mark[2] for mark in stage.marks(name))
    assert second - first >= 200_000


def test_a_task_that_gives_up_stores_its_failure(stage: Stage, name: str):
    handle = stage.program.fails.send(name, 99)
    failure = failure_of(handle)

    assert (failure.type, failure.message, failure.code) == ("ValueError", f"attempt 3 of {name}", None)
    assert "in fails" in failure.traceback
    assert handle.state is State.FAILED
    assert len(stage.effects(name)) == 3
    assert "ValueError" in handle.explain()


def test_give_up_on_ends_at_the_first_attempt(stage: Stage, name: str):
    failure = failure_of(stage.program.gives_up.send(name))

    assert failure.type == "KeyError"
    assert stage.effects(name) == ["ran"]


def test_a_stored_failure_has_its_code_and_answers_again_where_the_task_says_so(stage: Stage, name: str):
    first = stage.program.fails_for_good.send(name)
    failure = failure_of(first)
    again = stage.program.fails_for_good.send(name)

    assert failure.type.endswith("CodedError")
    assert (failure.message, failure.code) == (name, "no_such_page")
    assert again.decision is Decision.REPLAYED
    assert failure_of(again) == failure
    assert stage.effects(name) == ["ran"]


def test_a_failure_that_is_not_cached_makes_way_for_a_new_submission(stage: Stage, name: str):
    first = stage.program.gives_up.send(name)
    failure_of(first)
    again = stage.program.gives_up.send(name)
    failure_of(again)

    assert again.decision is Decision.EXECUTED
    assert again.id != first.id
    assert stage.effects(name) == ["ran", "ran"]


def test_a_result_without_an_encoding_fails_once(stage: Stage, name: str):
    failure = failure_of(stage.program.returns_unencodable.send(name))

    assert failure.type == "queues.errors.UnencodableError"
    assert stage.effects(name) == ["ran"]


def test_a_task_cancelled_before_it_starts_never_runs(stage: Stage, name: str):
    handle = stage.program.echo.send_with_options((name, 1), delay=1.5)
    was_cancelled = handle.cancel()
    failure = failure_of(handle)
    stage.program.echo.send_with_options((f"{name}-after", 1), delay=1.7).result()

    assert was_cancelled
    assert failure.code == "cancelled"
    assert stage.effects(name) == []


@pytest.mark.parametrize("task", ["steps", "spins", "steps_async"])
def test_a_task_cancelled_while_it_runs_stops_soon(stage: Stage, name: str, task: str):
    arguments = (name, 20.0) if task == "spins" else (name, 100, 0.2)
    handle = getattr(stage.program, task).send(*arguments)
    eventually(lambda: stage.effects(name))
    begun_s = time.monotonic()
    was_cancelled = handle.cancel()
    failure = failure_of(handle)

    assert was_cancelled
    assert failure.code == "cancelled"
    assert time.monotonic() - begun_s < STOPS_WITHIN_S
    assert "done" not in stage.effects(name)


def test_a_finished_task_is_not_cancelled(stage: Stage, name: str):
    handle = stage.program.echo.send(name, 1)
    handle.result()

    assert handle.cancel() is False
    assert handle.result() == 1


def test_a_task_cancelled_while_it_waits_for_a_retry_does_not_run_again(stage: Stage, name: str):
    handle = stage.program.waits_long.send(name)
    eventually(lambda: handle.state is State.WAITING)

    assert handle.cancel()
    assert failure_of(handle).code == "cancelled"
    assert stage.effects(name) == ["attempt-1"]


def test_nothing_is_sent_when_an_argument_cannot_be(stage: Stage, name: str):
    unfinished = stage.queue.unfinished()

    with pytest.raises(errors.UnencodableError):
        stage.program.echo.send(name, object())
    with pytest.raises(errors.InvalidArgumentsError):
        stage.program.echo.send(name)
    with pytest.raises(errors.PayloadTooLargeError):
        stage.program.echo.send(name, "x" * (1024 * 1024 + 1))

    assert stage.queue.unfinished() <= unfinished
