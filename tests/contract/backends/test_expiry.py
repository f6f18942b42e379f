"""Work that has not begun by its time never runs, the same on every backend and broker."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from queues import Decision, Handle, State, errors
from tests.stage import Stage, eventually


def failure_of(handle: Handle, timeout: float = 20) -> errors.Failure:
    with pytest.raises(errors.TaskFailedError) as caught:
        handle.result(timeout=timeout)
    return caught.value.failure


def blocked(stage: Stage, name: str) -> str:
    """Occupy the worker with tasks that wait before a gate; its name."""
    stage.program.passes.send_many([(f"{name}-gate", number) for number in range(30)])
    return f"{name}-gate"


def test_work_that_is_late_ends_as_expired_and_never_runs(stage: Stage, name: str):
    gate = blocked(stage, name)
    handle = stage.program.echo.send_with_options((name, 1), expires=0.3)
    others = stage.program.echo.send_with_options((f"{name}-other", 2), expires=60)
    time.sleep(0.4)
    stage.ledger.set(f"program:gate:{gate}", "open", ex=600)
    failure = failure_of(handle)

    assert (failure.type, failure.code) == ("queues.errors.TaskExpiredError", "expired")
    assert (handle.state, handle.status().attempt) == (State.FAILED, 0)
    assert others.result(timeout=60) == 2
    assert stage.effects(name) == []


def test_work_that_expired_is_submitted_anew(stage: Stage, name: str):
    past = datetime.now(UTC) - timedelta(seconds=1)
    first = stage.program.echo.send_with_options((name, 1), expires=past)
    failure = failure_of(first)
    again = stage.program.echo.send(name, 1)

    assert failure.code == "expired"
    assert again.decision is Decision.EXECUTED
    assert again.id != first.id
    assert again.result() == 1
    assert stage.effects(name) == ["ran"]


def test_a_time_that_is_not_over_changes_nothing(stage: Stage, name: str):
    soon = datetime.now(UTC) + timedelta(minutes=5)
    handles = [
        stage.program.echo.send_with_options((name, 1), expires=soon),
        stage.program.echo.send_with_options((f"{name}-delayed", 2), delay=0.5, expires=60),
    ]

    assert [handle.result() for handle in handles] == [1, 2]


def test_a_retry_does_not_expire(stage: Stage, name: str):
    handle = stage.program.asks_later.send_with_options((name,), expires=5)

    eventually(lambda: stage.effects(name))
    assert handle.result(timeout=60) == 2
    first, second = (mark[2] for mark in stage.marks(name))
    assert second - first >= 5_500_000


def test_a_task_may_say_how_long_its_work_is_worth_doing(stage: Stage, name: str):
    gate = blocked(stage, name)
    handle = stage.program.perishes.send(name)
    patient = stage.program.perishes.send_with_options((f"{name}-patient",), expires=60)
    time.sleep(0.4)
    stage.ledger.set(f"program:gate:{gate}", "open", ex=600)

    assert failure_of(handle).code == "expired"
    assert patient.result(timeout=60) == f"{name}-patient"
    assert stage.effects(name) == []


def test_what_is_on_no_queue_expires_too(stage: Stage, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stage.queue.backend, "publish_many", lambda messages: None)
    monkeypatch.setattr(stage.queue.backend, "publication", lambda message, delay_ms: None)

    handle = stage.program.echo.send_with_options((name, 1), expires=0.2)

    assert failure_of(handle).code == "expired"
    assert stage.effects(name) == []


def test_a_duplicate_of_work_that_is_late_does_not_join_it(stage: Stage, name: str, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as broken:
        broken.setattr(stage.queue.backend, "publish_many", lambda messages: None)
        broken.setattr(stage.queue.backend, "publication", lambda message, delay_ms: None)
        first = stage.program.echo.send_with_options((name, 1), expires=datetime.now(UTC) - timedelta(seconds=1))
    again = stage.program.echo.send(name, 1)

    assert again.decision is Decision.EXECUTED
    assert again.id != first.id
    assert again.result() == 1
    assert stage.effects(name) == ["ran"]


@pytest.mark.parametrize(
    "options",
    [
        {"expires": 0},
        {"expires": -1},
        {"expires": "60"},
        {"expires": True},
        {"expires": float("inf")},
        {"expires": datetime(2036, 3, 1)},  # noqa: DTZ001 - naive on purpose
        {"expires": datetime(2026, 3, 1, tzinfo=UTC), "delay": 60},
    ],
    ids=repr,
)
def test_a_time_that_cannot_be_meant_is_refused(stage: Stage, name: str, options: dict[str, Any]):
    with pytest.raises(errors.InvalidOptionError, match=r"expires="):
        stage.program.echo.send_with_options((name, 1), **options)
