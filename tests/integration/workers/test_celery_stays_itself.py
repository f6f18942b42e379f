"""What Celery promises of a task holds with `IdempotentTask` as without it.

Each test runs on two workers of one program, `programs/plain_celery.py`, and each message has a key of its own: what
differs between the two is a failure.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded, TaskRevokedError, TimeLimitExceeded

from tests.integration.workers.native import NativeApp
from tests.integration.workers.plain_celery import WAIT_S, noted, plain_app, state_of
from tests.stage import eventually

__all__ = ["plain_app"]

pytestmark = [pytest.mark.xdist_group("celery stays itself"), pytest.mark.slow]


@pytest.fixture
def app(plain_app: NativeApp) -> NativeApp:
    return plain_app


def test_the_result_backend_holds_what_celery_holds(app: NativeApp, name: str):
    result = app.module.add.delay(1, 2, name=name)
    result.get(WAIT_S)
    meta = app.module.app.backend.get_task_meta(result.id)

    told = {key: meta[key] for key in ("status", "result", "traceback", "children", "retries", "queue")}
    assert told == {
        "status": "SUCCESS", "result": 3, "traceback": None, "children": [], "retries": 0, "queue": "celery"
    }  # fmt: skip
    assert (meta["name"], meta["args"], meta["kwargs"]) == ("plain_celery.add", [1, 2], {"name": name})


def test_a_failure_is_held_as_its_exception(app: NativeApp, name: str):
    result = app.module.fails.delay(name)
    with pytest.raises(ValueError, match=name):
        result.get(WAIT_S)

    assert (result.state, result.failed()) == ("FAILURE", True)
    assert "ValueError" in result.traceback
    assert noted(app, name, 1) == ["ran"]


def test_a_retry_ends_in_a_result(app: NativeApp, name: str):
    result = app.module.retries.delay(name, 2)

    assert result.get(WAIT_S) == "at last"
    assert app.notes(name) == ["0", "1", "2"]
    # Celery calls on_retry when the next attempt, in another process, may have begun.
    hooks = {"before_start": 3, "on_retry ValueError": 2, "on_success at last": 1, "after_return SUCCESS": 1}
    assert Counter(noted(app, f"{name}-hooks", 7)) == hooks


def test_retries_come_to_their_end(app: NativeApp, name: str):
    result = app.module.retries.delay(name, 9)
    with pytest.raises(ValueError, match=name):
        result.get(WAIT_S)

    assert app.notes(name) == ["0", "1", "2"]
    hooks = {"before_start": 3, "on_retry ValueError": 2, "on_failure ValueError": 1, "after_return FAILURE": 1}
    assert Counter(noted(app, f"{name}-hooks", 7)) == hooks


def test_autoretry_does_as_retry(app: NativeApp, name: str):
    assert app.module.retried_by_celery.delay(name, 2).get(WAIT_S) == "at last"
    assert app.notes(name) == ["ran"] * 3


def test_a_retry_may_have_other_arguments(app: NativeApp, name: str):
    assert app.module.retries_with_other_arguments.delay(name, 2).get(WAIT_S) == "done"
    assert app.notes(name) == ["2", "1", "0"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, ["before_start", "on_success 5", "after_return SUCCESS"]),
        (None, ["before_start", "on_failure KeyError", "after_return FAILURE"]),
    ],
)
def test_the_hooks_of_a_task_class_are_called_once(app: NativeApp, name: str, value: Any, expected: list[str]):
    state_of(app.module.hooked.delay(name, value))

    assert noted(app, f"{name}-hooks", 3) == expected


def test_a_bound_task_knows_its_request(app: NativeApp, name: str):
    result = app.module.tells.delay(name)

    assert result.get(WAIT_S) == [result.id, "plain_celery.tells", [name], 0, "celery"]


def test_a_task_may_store_states_of_its_own(app: NativeApp, name: str):
    result = app.module.updates.delay(name)
    eventually(lambda: result.state == "HALF", within_s=WAIT_S)

    assert result.info == {"done": 50}
    assert result.get(WAIT_S) == "whole"


def test_an_ignored_task_stores_nothing_more(app: NativeApp, name: str):
    result = app.module.ignored.delay(name)

    assert noted(app, name, 1) == ["ran"]
    assert result.state == "STARTED"


def test_a_task_without_a_result_stores_none(app: NativeApp, name: str):
    result = app.module.without_result.delay(name)

    assert noted(app, name, 1) == ["ran"]
    assert result.state in ("PENDING", "STARTED")
    assert result.result is None or "pid" in result.result


def test_a_rejected_message_is_gone(app: NativeApp, name: str):
    app.module.rejected.delay(name)

    assert noted(app, name, 1) == ["ran"]


def test_a_message_that_is_asked_back_comes_again(app: NativeApp, name: str):
    assert app.module.asked_back.delay(name).get(WAIT_S) == "taken"
    assert app.notes(name) == ["ran"] * 2


def test_a_soft_time_limit_is_told_to_the_task(app: NativeApp, name: str):
    with pytest.raises(SoftTimeLimitExceeded):
        app.module.too_slow.delay(name).get(WAIT_S)

    assert app.notes(name) == ["told"]


def test_a_hard_time_limit_ends_the_task(app: NativeApp, name: str):
    with pytest.raises(TimeLimitExceeded):
        app.module.far_too_slow.delay(name).get(WAIT_S)

    assert noted(app, name, 1) == ["ran"]


def test_a_countdown_and_an_eta_are_waited_for(app: NativeApp, name: str):
    begun = datetime.now(UTC)
    first = app.module.give.apply_async((f"{name}-a", 1), countdown=0.5)
    second = app.module.give.apply_async((f"{name}-b", 2), eta=begun + timedelta(seconds=0.5))

    assert [first.get(WAIT_S), second.get(WAIT_S)] == [1, 2]
    assert datetime.now(UTC) - begun >= timedelta(seconds=0.5)


def test_an_expired_message_is_revoked(app: NativeApp, name: str):
    result = app.module.give.apply_async((name, 1), countdown=0.6, expires=0.3)

    assert state_of(result) == "REVOKED"
    assert noted(app, name, 0) == []


def test_a_task_whose_messages_expire_is_revoked(app: NativeApp, name: str):
    result = app.module.soon_expired.apply_async((name,), countdown=0.6)

    assert state_of(result) == "REVOKED"
    assert noted(app, name, 0) == []


def test_the_options_of_a_task_go_with_its_messages(app: NativeApp, name: str):
    assert app.module.tells_its_limits.delay(name).get(WAIT_S) == [70, 60]
    assert app.module.shadowed.delay(name).get(WAIT_S) == f"shadow of {name}"


def test_a_waiting_message_is_revoked(app: NativeApp, name: str):
    result = app.module.give.apply_async((name, 1), countdown=3)
    result.revoke()

    with pytest.raises(TaskRevokedError):
        result.get(WAIT_S)
    assert noted(app, name, 0) == []


def test_a_running_task_is_terminated(app: NativeApp, name: str):
    result = app.module.nap.delay(name, 20)
    eventually(lambda: app.notes(name), within_s=WAIT_S)
    result.revoke(terminate=True)

    with pytest.raises(TaskRevokedError):
        result.get(WAIT_S)
    assert noted(app, name, 1) == ["began"]


def test_a_task_that_starts_another_has_it_as_a_child(app: NativeApp, name: str):
    result = app.module.starts_another.delay(name)
    result.get(WAIT_S)

    assert [child.get(WAIT_S) for child in result.children] == [1]


@pytest.mark.parametrize(
    ("task", "arguments", "expected"),
    [
        ("give", (1,), ["task_prerun", "task_success", "task_postrun"]),
        ("fails", (), ["task_prerun", "task_failure", "task_postrun"]),
    ],
)
def test_each_signal_is_sent_once(
    app: NativeApp, name: str, task: str, arguments: tuple[int, ...], expected: list[str]
):
    state_of(getattr(app.module, task).delay(name, *arguments))

    assert noted(app, f"{name}-signals", len(expected)) == expected


def test_each_signal_of_a_retried_task_is_sent_once_an_attempt(app: NativeApp, name: str):
    state_of(app.module.retries.delay(name, 1))

    # The second attempt may begin in another process before the first one's last signal.
    expected = {"task_prerun": 2, "task_retry": 1, "task_success": 1, "task_postrun": 2}
    assert Counter(noted(app, f"{name}-signals", 6)) == expected
