"""Delays, the same on every backend and broker; the long ones are held by the record, and by no queue."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from queues import Call, Decision, Handle, State, errors
from queues.backends.memory import MemoryBackend
from tests.stage import Stage, eventually

HOUR_S = 3600.0
SOON_S = 3.0
LATE_S = 15.0
"""How much later than its time a task may begin on a busy machine; a look of recovery alone may be 500 ms late."""


@pytest.fixture
def holds_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Submissions of this process are held from half a second on, so that a test need not wait for a minute."""
    monkeypatch.setattr("queues.producer.HOLD_AFTER_MS", 500)


def is_on_no_queue(stage: Stage, handle: Handle) -> bool:
    """Whether the record holds the message; and on Redis, whether no key of the broker has its id."""
    record = stage.queue.store.read(handle.key)
    assert record is not None
    if isinstance(stage.queue.backend, MemoryBackend) or stage.broker_url != stage.redis_url:
        return record.is_held
    keys = [key for key in stage.ledger.scan_iter() if b"task_" not in key and b"program:" not in key]
    contents: list[Any] = []
    for key in keys:
        kind = stage.ledger.type(key)
        contents += stage.ledger.lrange(key, 0, -1) if kind == b"list" else []
        contents += stage.ledger.hvals(key) if kind == b"hash" else []
    return record.is_held and not any(handle.id.encode() in content for content in contents)


def make_due(stage: Stage, handle: Handle) -> None:
    """Have the time of held work come now."""
    lock, _, leases = stage.queue.store.keys.of(handle.key)
    now_ms = time.time_ns() // 1_000_000
    stage.ledger.hset(lock, "until", now_ms)
    stage.ledger.zadd(leases, {handle.key: now_ms})


def began_s(stage: Stage, name: str) -> float:
    # A token is the store's clock in microseconds.
    return stage.marks(name)[0][2] / 1e6


@pytest.mark.usefixtures("holds_soon")
def test_held_work_waits_on_no_queue_and_begins_at_its_time(stage: Stage, name: str):
    sent_s = time.time()
    handle = stage.program.echo.send_with_options((name, 1), delay=SOON_S)
    was_held = is_on_no_queue(stage, handle)
    joined = stage.program.echo.send(name, 1)

    assert was_held
    assert (handle.decision, joined.decision, joined.id) == (Decision.EXECUTED, Decision.JOINED, handle.id)
    assert 0 < handle.status().due_in_ms <= SOON_S * 1000
    assert "due in" in handle.explain()
    assert handle.result(timeout=60) == 1
    assert SOON_S - 0.01 <= began_s(stage, name) - sent_s < SOON_S + LATE_S
    assert stage.effects(name) == ["ran"]


@pytest.mark.usefixtures("holds_soon")
def test_many_that_are_due_at_the_same_moment_all_run_once(stage: Stage, name: str):
    eta = datetime.now(UTC) + timedelta(seconds=SOON_S)
    handles = stage.program.echo.send_many([Call((f"{name}-{n}", n), eta=eta) for n in range(300)])

    assert [handle.result(timeout=60) for handle in handles] == list(range(300))
    assert [n for n in range(300) if stage.effects(f"{name}-{n}") != ["ran"]] == []


def test_an_eta_is_a_delay_and_a_past_one_is_now(stage: Stage, name: str):
    eta = datetime.now(UTC) + timedelta(seconds=0.7)
    later = stage.program.echo.send_with_options((name, 1), eta=eta)
    past = stage.program.echo.send_with_options((f"{name}-past", 2), eta=eta - timedelta(days=400))

    assert (past.result(), later.result()) == (2, 1)
    assert began_s(stage, name) >= eta.timestamp() - 0.01


@pytest.mark.parametrize(
    "options",
    [
        {"eta": datetime(2026, 3, 1, 12)},  # noqa: DTZ001 - naive on purpose
        {"eta": "2026-03-01T12:00:00Z"},
        {"eta": datetime.now(UTC) + timedelta(days=31)},
        {"eta": datetime.now(UTC), "delay": 5},
        {"delay": 30 * 86_400 + 1},
        {"delay": "5"},
        {"delay": float("nan")},
    ],
    ids=["naive", "text", "in 31 days", "eta and delay", "over 30 days", "text as delay", "nan"],
)
def test_a_time_that_cannot_be_meant_is_refused(stage: Stage, name: str, options: dict[str, Any]):
    with pytest.raises(errors.InvalidOptionError, match=r"eta|delay"):
        stage.program.echo.send_with_options((name, 1), **options)


def test_held_work_that_is_cancelled_never_runs(stage: Stage, name: str):
    handle = stage.program.echo.send_with_options((name, 1), delay=30 * 86_400)

    assert is_on_no_queue(stage, handle)
    assert handle.cancel()
    with pytest.raises(errors.TaskFailedError) as caught:
        handle.result()
    assert caught.value.failure.code == "cancelled"
    assert stage.effects(name) == []


def test_a_long_backoff_is_held_and_the_retry_begins_when_it_is_due(stage: Stage, name: str):
    if stage.backend == "memory":
        pytest.skip("its clock is not in Redis")

    handle = stage.program.waits_longer.send(name)
    eventually(lambda: handle.state is State.WAITING)
    # The first attempt's message is acknowledged a moment after the record has the retry.
    eventually(lambda: is_on_no_queue(stage, handle))
    make_due(stage, handle)

    assert handle.result(timeout=60) == 2
    assert stage.effects(name) == ["attempt-1", "attempt-2"]


def test_a_delivery_of_another_message_waits_for_the_held_one(stage: Stage, name: str):
    if stage.backend != "celery":
        pytest.skip("Celery's own messages may have an id of their own")

    held = stage.program.echo.send_with_options((name, 1), delay=HOUR_S)
    stage.queue.backend.app.tasks["program.echo"].apply_async((name, 1), task_id=f"{name}-own", queue="fast")
    eventually(lambda: stage.running is not None and "held until" in stage.running.log)
    effects_before = stage.effects(name)
    make_due(stage, held)

    assert effects_before == []
    assert held.result(timeout=60) == 1
    assert stage.effects(name) == ["ran"]
