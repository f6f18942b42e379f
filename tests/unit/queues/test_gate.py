"""A run that its task's limits do not let in gives its right back, and its message comes again."""

import threading
import time
from typing import Any

import pytest

from queues import Concurrency, State, current, errors
from queues.disposition import Deferred, Done, Failed, Retrying
from queues.idempotency.state import Cancel
from queues.limits.concurrency import Slot, SlotAnswer, Slots
from queues.limits.gate import STORE_AWAY_WAIT_MS
from queues.limits.rate import Turn
from queues.message import Message
from tests.unit.queues.bench import LEASE_S, Bench, until

LEASE_MS = round(LEASE_S * 1000)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_message_above_the_rate_comes_again_at_its_turn_and_counts_no_attempt(bench: Bench):
    attempts: list[int] = []
    task = bench.task(lambda n: attempts.append(current.attempt), rate_limit="1/s")
    first, second = bench.admitted(task, 1), bench.admitted(task, 2)

    assert bench.executor.execute(first) == Done(None)
    deferred = bench.executor.execute(second)
    assert isinstance(deferred, Deferred)
    assert bench.published == [(second, 1000)]
    assert bench.state(second) is State.QUEUED
    bench.clock.advance(1000)
    assert bench.executor.execute(second) == Done(None)
    assert attempts == [1, 1]


def test_recovery_leaves_a_message_alone_until_its_turn_is_past(bench: Bench):
    task = bench.task(lambda n: None, rate_limit="1/m")
    bench.executor.execute(bench.admitted(task, 1))
    second = bench.admitted(task, 2)
    bench.executor.execute(second)

    bench.clock.advance(60_000 + LEASE_MS - 1)
    assert second.digest not in [due.digest for due in bench.store.due(0, 10)]
    bench.clock.advance(1)
    assert second.digest in [due.digest for due in bench.store.due(0, 10)]


def test_what_the_record_answers_takes_no_turn(bench: Bench):
    task = bench.task(lambda n: n, rate_limit="1/s")
    first, second = bench.admitted(task, 1), bench.admitted(task, 2)
    bench.executor.execute(first)
    bench.clock.advance(1000)
    replays = [bench.executor.execute(first) for _ in range(5)]

    assert replays == [Done(1, is_replay=True)] * 5
    assert bench.executor.execute(second) == Done(2)


def test_a_turn_that_comes_at_once_is_waited_for(bench: Bench):
    task = bench.task(lambda n: n, rate_limit="20/s")
    bench.executor.execute(bench.admitted(task, 1))
    begun_s = time.monotonic()
    disposition = bench.executor.execute(bench.admitted(task, 2))

    assert disposition == Done(2)
    assert time.monotonic() - begun_s >= 0.05
    assert bench.published == []


def ending(bench: Bench, error: BaseException | None) -> tuple[Message, Message]:
    """Messages of a task with one slot; a run waits while the other is executed, then ends in this way."""

    def holds(number: int) -> int:
        if number == 1:
            came.append(bench.executor.execute(other))
            if error is not None:
                raise error
        return number

    task = bench.task(holds, concurrency=Concurrency(1), max_retries=1)
    other, came = bench.admitted(task, 2), []
    message = bench.admitted(task, 1)
    if isinstance(error, SystemExit):
        with pytest.raises(SystemExit):
            bench.executor.execute(message)
    else:
        bench.executor.execute(message)
    assert isinstance(came[0], Deferred)
    return message, other


@pytest.mark.parametrize("error", [None, OSError("no"), SystemExit()], ids=["done", "failed", "ended"])
def test_a_run_that_finds_no_slot_waits_until_one_is_freed(bench: Bench, error: BaseException | None):
    message, other = ending(bench, error)

    assert bench.published[0][0] == other
    assert 375 <= bench.published[0][1] <= 625
    assert bench.executor.execute(other) == Done(2)
    if error is None:
        assert bench.state(message) is State.COMPLETED


def test_a_run_that_finds_no_slot_takes_no_turn(bench: Bench):
    def holds(number: int) -> None:
        if number == 1:
            bench.clock.advance(1_000)
            bench.executor.execute(bench.admitted(task, 2))

    task = bench.task(holds, concurrency=1, rate_limit="1/s")
    bench.executor.execute(bench.admitted(task, 1))

    assert 375 <= bench.published[0][1] <= 625
    assert bench.executor.execute(bench.admitted(task, 3)) == Done(None)


@pytest.mark.parametrize("is_followed", [False, True])
def test_an_ended_slot_is_anothers_when_its_run_has_no_lease(bench: Bench, is_followed: bool):
    came: list[Any] = []

    def holds(number: int) -> int:
        if number == 1:
            token = 1 if is_followed else current.token
            slots = {f"{message.digest} {token}": bench.clock.now_ms() - 1}
            bench.store.limiter._slots["bench.holds"] = Slots(slots)
            came.append(bench.executor.execute(bench.admitted(task, 2)))
        return number

    task = bench.task(holds, concurrency=1)
    message = bench.admitted(task, 1)
    bench.executor.execute(message)

    assert isinstance(came[0], Done if is_followed else Deferred)


def test_a_run_that_was_stopped_while_it_waited_does_not_begin(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    def waits(*_: object) -> Turn:
        [watched] = bench.guard._heartbeat._watched.values()
        watched.run.stop(is_lost=True)
        return Turn(is_given=True, wait_ms=1)

    runs: list[int] = []
    message = bench.admitted(bench.task(lambda: runs.append(1), rate_limit="1/s"))
    monkeypatch.setattr(bench.store.limiter, "take_turn", waits)

    assert isinstance(bench.executor.execute(message), Deferred)
    assert runs == []


def test_keys_do_not_share_slots(bench: Bench):
    came: list[Any] = []

    def holds(owner: str, number: int) -> str:
        if number == 1:
            came.extend(bench.executor.execute(bench.admitted(task, owner, 2)) for owner in ("a", "b"))
        return owner

    task = bench.task(holds, concurrency=Concurrency(1, per="owner"))
    bench.executor.execute(bench.admitted(task, "a", 1))

    assert isinstance(came[0], Deferred)
    assert came[1] == Done("b")


def test_a_function_may_name_the_slots(bench: Bench):
    limit = Concurrency(1, per=lambda number: number % 2)

    assert limit.slots("t", {"number": 1}) == limit.slots("t", {"number": 3})
    assert limit.slots("t", {"number": 1}) != limit.slots("t", {"number": 2})
    assert limit.slots("t", {"number": 1}) != limit.slots("another", {"number": 1})


def test_arguments_that_name_no_slots_fail_the_task(bench: Bench):
    raises = bench.task(lambda n: n, concurrency=Concurrency(1, per=lambda n: 1 // n))
    disposition = bench.executor.execute(bench.admitted(raises, 0))
    assert isinstance(disposition, Retrying)
    assert isinstance(disposition.error, ZeroDivisionError)


def test_slots_that_have_no_encoding_fail_the_task_once(bench: Bench):
    task = bench.task(lambda n: n, concurrency=Concurrency(1, per=lambda n: object()))
    disposition = bench.executor.execute(bench.admitted(task, 0))

    assert isinstance(disposition, Failed)
    assert isinstance(disposition.error, errors.UnencodableError)


def test_without_the_store_nobody_is_let_in(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    def away(slot: Slot, verified_ms: dict[str, int]) -> int:
        raise errors.StoreUnavailableError("away")

    runs: list[int] = []
    message = bench.admitted(bench.task(lambda: runs.append(1), concurrency=Concurrency(1)))
    monkeypatch.setattr(bench.store.limiter, "take_slot", away)
    disposition = bench.executor.execute(message)

    assert isinstance(disposition, Deferred)
    assert bench.published == [(message, STORE_AWAY_WAIT_MS)]
    assert runs == []
    assert bench.state(message) is State.QUEUED


def test_a_slot_that_could_not_be_freed_harms_nobody(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    def away(slot: Slot) -> None:
        raise errors.StoreUnavailableError("away")

    task = bench.task(lambda n: n, concurrency=Concurrency(1))
    with monkeypatch.context() as patch:
        patch.setattr(bench.store.limiter, "free_slot", away)
        assert bench.executor.execute(bench.admitted(task, 1)) == Done(1)
    second = bench.admitted(task, 2)
    assert isinstance(bench.executor.execute(second), Deferred)
    bench.clock.advance(LEASE_MS)

    assert bench.executor.execute(second) == Done(2)


def test_work_that_is_cancelled_at_the_gate_ends_there(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    task = bench.task(lambda: 1, concurrency=Concurrency(1))
    message = bench.admitted(task)

    def refuses(slot: Slot, verified_ms: dict[str, int]) -> SlotAnswer:
        bench.store.apply(message.digest, Cancel(60_000))
        return SlotAnswer(500)

    monkeypatch.setattr(bench.store.limiter, "take_slot", refuses)
    disposition = bench.executor.execute(message)

    assert isinstance(disposition, Failed)
    assert disposition.failure.code == "cancelled"
    assert bench.published == []


def test_a_run_that_lost_its_slot_is_stopped_and_comes_again(bench: Bench):
    began = threading.Event()

    def spins() -> None:
        began.set()
        while True:
            time.sleep(0.001)

    message = bench.admitted(bench.task(spins, concurrency=Concurrency(1)))
    came: list[Any] = []
    thread = threading.Thread(target=lambda: came.append(bench.executor.execute(message)))
    thread.start()
    assert began.wait(60)
    name, held = next(iter(bench.store.limiter._slots.items()))
    bench.store.limiter._slots[name] = type(held)({"another 1": bench.clock.now_ms() + 100 * LEASE_MS})
    bench.clock.advance(LEASE_MS // 3)
    thread.join(60)

    assert isinstance(came[0], Deferred)
    assert bench.published == [(message, 0)]
    assert list(bench.store.limiter._slots[name].ends_ms) == ["another 1"]


def test_a_held_slot_is_renewed_with_the_lease(bench: Bench):
    began, end = threading.Event(), threading.Event()

    def waits() -> None:
        began.set()
        end.wait(60)

    message = bench.admitted(bench.task(waits, concurrency=Concurrency(1)))
    thread = threading.Thread(target=lambda: bench.executor.execute(message))
    thread.start()
    assert began.wait(60)
    ends_ms = [*bench.store.limiter._slots["bench.waits"].ends_ms.values()]
    bench.clock.advance(LEASE_MS // 3)
    until(lambda: [*bench.store.limiter._slots["bench.waits"].ends_ms.values()] > ends_ms)
    end.set()
    thread.join(60)

    assert bench.state(message) is State.COMPLETED
    assert bench.store.limiter._slots == {}
