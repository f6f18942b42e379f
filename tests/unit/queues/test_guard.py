"""The guard gives and ends the right to run, also when its answers are lost."""

import threading
from dataclasses import replace

import pytest

from queues import Once, State, errors
from queues.idempotency import envelope
from queues.idempotency.state import Answer, Begin, Complete, Fail, Kind, Operation, Release, Wait
from queues.message import Message
from queues.run import Run
from tests.unit.queues.bench import Bench, until

POLICY = Once(lease=3)
OUTCOME = envelope.of_value(1, 100)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def message(bench: Bench) -> Message:
    return bench.admitted(bench.task(lambda: 1))


def begun(bench: Bench, message: Message) -> Run:
    _, run = bench.guard.begin(message, POLICY)
    assert run is not None
    return run


def test_the_right_to_run_is_given_once(bench: Bench, message: Message):
    run = begun(bench, message)
    answer, second = bench.guard.begin(message, POLICY)

    assert (run.attempt, run.lost) == (1, 0)
    assert second is None
    assert (answer.kind, answer.wait_ms) == (Kind.BUSY_SELF, 3_000)


def test_a_store_that_is_away_gives_no_right(bench: Bench, message: Message):
    bench.store.away = {Begin}

    with pytest.raises(errors.StoreUnavailableError):
        bench.guard.begin(message, POLICY)


def test_a_run_that_took_over_has_a_higher_token_and_the_old_one_can_end_nothing(bench: Bench, message: Message):
    old = begun(bench, message)
    bench.clock.advance(3_001)
    new = begun(bench, message)

    assert new.token > old.token
    assert new.lost == 1
    assert bench.guard.complete(old, POLICY, OUTCOME) is False
    assert bench.guard.fail(old, POLICY, ValueError("late")) is False
    assert bench.guard.release(old, POLICY) is False
    assert bench.guard.wait(old, POLICY, message, 0).kind is Kind.FENCED
    assert bench.guard.complete(new, POLICY, OUTCOME) is True


def test_a_late_outcome_counts_as_long_as_nobody_else_has_begun(bench: Bench, message: Message):
    run = begun(bench, message)
    bench.clock.advance(10_000)

    assert bench.guard.complete(run, POLICY, OUTCOME) is True
    assert bench.state(message) is State.COMPLETED


@pytest.mark.parametrize("operation", [Complete, Fail, Release, Wait])
def test_each_ending_is_asked_for_until_the_store_answers(bench: Bench, message: Message, operation: type):
    run = begun(bench, message)
    ends = {
        Complete: lambda: bench.guard.complete(run, POLICY, OUTCOME),
        Fail: lambda: bench.guard.fail(run, POLICY, ValueError("no")),
        Release: lambda: bench.guard.release(run, POLICY),
        Wait: lambda: bench.guard.wait(run, POLICY, message, 1_000),
    }
    bench.store.away = {operation}
    worker = threading.Thread(target=ends[operation])
    worker.start()
    until(lambda: bench.store.calls.count(operation) >= 2)
    was_ended = run.is_ended
    bench.store.away = set()
    worker.join()

    assert not was_ended
    assert run.is_ended
    assert bench.state(message) is not State.RUNNING


def test_an_ending_that_was_carried_out_and_not_answered_stands(bench: Bench, message: Message):
    run = begun(bench, message)
    bench.store.answers_lost = {Release}

    assert bench.guard.release(run, POLICY) is True
    assert bench.state(message) is State.QUEUED


def test_a_forgotten_run_leaves_no_record(bench: Bench, message: Message):
    run = begun(bench, message)

    assert bench.guard.release(run, POLICY, is_forgotten=True) is True
    assert bench.record(message) is None


def test_insisting_ends_with_the_process(bench: Bench):
    bench.stopping.set()

    def refuse() -> None:
        raise errors.BrokerUnavailableError("away")

    with pytest.raises(errors.BrokerUnavailableError):
        bench.guard.insist(refuse)


def test_insisting_is_not_for_other_errors(bench: Bench):
    def refuse() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError):
        bench.guard.insist(refuse)


def test_a_run_whose_begin_was_answered_too_late_is_not_run(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    message = bench.admitted(bench.task(lambda: 1))
    apply = bench.store.apply

    def answers_late(digest: str, operation: Operation) -> Answer:
        answer = apply(digest, operation)
        if isinstance(operation, Begin):
            bench.clock.advance(POLICY.lease_ms)
            apply(digest, replace(operation, execution="another"))
        return answer

    monkeypatch.setattr(bench.store, "apply", answers_late)

    answer, run = bench.guard.begin(message, POLICY)

    assert run is None
    assert answer.kind is Kind.BUSY
