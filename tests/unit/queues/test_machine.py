"""What no sequence of operations may break, and what the table of the design leaves to the functions."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queues.idempotency import envelope, machine
from queues.idempotency.burial import Revive
from queues.idempotency.machine import CANCELLED_OUTCOME, DEAD_OUTCOME, EXPIRED_OUTCOME, MAX_HELP_INTERVAL_MS
from queues.idempotency.state import (
    LIVE,
    Admit,
    Begin,
    Cancel,
    Complete,
    Duplicate,
    Fail,
    Heartbeat,
    Help,
    Kind,
    Record,
    Release,
    State,
    Wait,
)
from tests.contract.operations import (
    DELAY_MS,
    HELP_MS,
    LEASE_MS,
    START_MS,
    TTL_MS,
    Chooser,
    ManualClock,
    admit,
    begin,
    cancel,
    complete,
    confirm,
    fail,
    heartbeat,
    help_,
    play,
    release,
    wait,
)

TOKEN_WRITES = (Heartbeat, Complete, Wait, Fail, Release)
MANY = settings(max_examples=150, deadline=None)
SEEDS = st.integers(0, 2**32)
WALK_STEPS = 60


class Applied:
    """`machine.apply` with a record and a clock kept beside it."""

    def __init__(self, clock):
        self.clock = clock
        self.record = None

    def apply(self, digest, operation):
        self.record, answer = machine.apply(self.record, operation, self.clock.now_ms())
        return answer


def walked(seed):
    """Random steps as (record before, operation, record after, answer, now_ms)."""
    # Drawing each choice by Hypothesis takes a hundred times as long; a seed is repeatable all the same.
    choose = Chooser(random.Random(seed).choice)
    record, now_ms = None, START_MS
    for _ in range(WALK_STEPS):
        now_ms += choose.advance_ms()
        operation = choose.operation(record)
        after, answer = machine.apply(record, operation, now_ms)
        yield record, operation, after, answer, now_ms
        record = after


def operation_of_its_past(record, operation):
    """Whether it is asked by a message that was replaced, or whose run was followed by another."""
    own = getattr(operation, "message_id", None)
    return (record.is_replaced and record.owner == own) or record.follows == own


def is_spent(record):
    return record.state is State.FAILED and not record.is_cached


def is_late(begin_by_ms, now_ms):
    return 0 < begin_by_ms <= now_ms


def has_expired(record, now_ms):
    return record.state is State.QUEUED and not record.execution and is_late(record.begin_by_ms, now_ms)


@MANY
@given(SEEDS)
def test_a_live_lease_is_never_given_to_another(seed):
    for before, operation, after, answer, now_ms in walked(seed):
        if before and before.state is State.RUNNING and before.until_ms > now_ms and answer.kind is Kind.RUN:
            assert before.execution == operation.execution
            assert after == before


@MANY
@given(SEEDS)
def test_a_token_never_falls_and_belongs_to_one_run(seed):
    runs = {}
    for before, operation, after, answer, now_ms in walked(seed):
        if before is not None and after is not None:
            assert after.token >= before.token
        if after is None:
            runs.clear()  # forgotten: tokens of one ms may then be the same
        if answer.kind is Kind.RUN and after is not before:
            assert answer.token not in runs
            assert answer.token >= now_ms * 1000
            runs[answer.token] = operation.execution


@MANY
@given(SEEDS)
def test_an_outcome_is_never_overwritten_except_a_spent_failure(seed):
    for before, operation, after, _, now_ms in walked(seed):
        if before is not None and not before.state.is_live:
            is_renewal = is_spent(before) and isinstance(operation, Admit | Begin)
            is_renewal |= isinstance(operation, Admit) and operation.duplicate is not Duplicate.JOIN
            is_renewal |= isinstance(operation, Revive) and (operation.is_released or not before.is_cached)
            is_over = isinstance(operation, Begin) and is_late(operation.begin_by_ms, now_ms)
            assert after == before or (is_renewal and (after.state.is_live or is_over))


@MANY
@given(SEEDS)
def test_no_operation_loses_live_work(seed):
    for before, operation, after, answer, now_ms in walked(seed):
        is_forgotten = isinstance(operation, Release) and operation.is_forgotten
        if before is not None and before.state.is_live and not (is_forgotten and answer.kind is Kind.OK):
            assert after is not None
            assert after.message or not after.state.is_live
            assert after.state.is_live or after.outcome or isinstance(operation, Complete | Fail)
            if not after.state.is_live and isinstance(operation, Help):
                assert has_expired(before, now_ms)
            elif not after.state.is_live:
                assert isinstance(operation, Complete | Fail | Cancel | Wait | Release | Begin)
                assert answer.state is after.state


@MANY
@given(SEEDS)
def test_a_write_with_another_token_changes_nothing(seed):
    for before, operation, after, answer, _ in walked(seed):
        if isinstance(operation, TOKEN_WRITES) and (before is None or before.token != operation.token):
            assert after is before
            assert answer.kind is Kind.FENCED


@MANY
@given(SEEDS)
def test_other_arguments_never_change_or_learn_the_outcome_of_a_key(seed):
    for before, operation, after, answer, now_ms in walked(seed):
        is_asking = isinstance(operation, Begin)
        is_asking |= isinstance(operation, Admit) and operation.duplicate is Duplicate.JOIN
        if before is None or operation_of_its_past(before, operation):
            continue
        gives_way = is_spent(before) or has_expired(before, now_ms)
        if is_asking and before.fingerprint != operation.fingerprint and not gives_way:
            assert (after, answer.kind, answer.outcome) == (before, Kind.CONFLICT, b"")


@MANY
@given(SEEDS)
def test_a_record_is_not_forgotten_before_its_lease_wait_or_help_ends(seed):
    for _, _, after, _, now_ms in walked(seed):
        if after is not None and after.state.is_live:
            assert after.expires_ms > max(after.until_ms, after.help_at_ms)
        elif after is not None and after.finished_ms == now_ms:
            assert after.expires_ms > now_ms


@MANY
@given(SEEDS)
def test_live_work_is_always_helped_or_expires_in_the_end(seed):
    for _, _, after, _, _ in walked(seed):
        if after is not None and after.state.is_live:
            helped, answer = machine.apply(after, help_(), after.help_at_ms)

            if has_expired(after, after.help_at_ms):
                assert (helped.state, helped.outcome) == (State.FAILED, EXPIRED_OUTCOME)
            else:
                assert (answer.kind, answer.message, answer.owner) == (Kind.HELP, after.message, after.owner)


@MANY
@given(SEEDS)
def test_what_an_operation_does_once_it_does_not_undo_or_double_when_repeated(seed):
    for before, operation, after, answer, now_ms in walked(seed):
        again, second = machine.apply(after, operation, now_ms)
        # Help puts the next one off; the end of a cancelled run is a row of the contract test.
        # Dead work that another run follows is queued work for whoever asks next.
        ended = before is not None and (before.is_cancelled or before.next_message)
        is_takeover = isinstance(operation, Begin) and ended
        # What replaced queued work and was over already has made way for itself.
        is_over = answer.kind is Kind.REPLACED and is_late(operation.begin_by_ms, now_ms)
        if answer.kind is not Kind.HELP and not is_takeover and not is_over:
            assert again == after
            assert second.token == answer.token or answer.kind is Kind.OK


@MANY
@given(SEEDS)
def test_a_record_of_unknown_state_is_never_made(seed):
    for _, _, after, answer, _ in walked(seed):
        assert after is None or after.state is not State.UNKNOWN
        assert after is None or (after.state in LIVE) == after.state.is_live
        assert answer.kind is not Kind.RUN or after.state is State.RUNNING


def test_helps_come_ever_more_rarely_up_to_ten_minutes():
    clock = ManualClock()
    work = Applied(clock)
    work.apply("", admit(help_ms=30_000))
    intervals_ms = []
    for _ in range(8):
        clock.at_ms = work.record.help_at_ms
        work.apply("", help_(30_000))
        intervals_ms.append(work.record.help_at_ms - clock.at_ms)

    assert intervals_ms == [30_000, 60_000, 120_000, 240_000, 480_000, *[MAX_HELP_INTERVAL_MS] * 3]


def test_a_help_interval_that_was_asked_for_is_never_shortened():
    work = Applied(ManualClock())
    work.apply("", admit(help_ms=0))
    for _ in range(3):
        work.clock.at_ms = work.record.help_at_ms
        work.apply("", help_(3 * MAX_HELP_INTERVAL_MS))

        assert work.record.help_at_ms - work.clock.at_ms == 3 * MAX_HELP_INTERVAL_MS


def test_takeovers_are_counted_until_a_run_ends_by_itself():
    work = Applied(ManualClock())
    runs = [begin("m1", f"x{number}", max_lost=5) for number in range(3)]
    play(work, work.clock, "", [runs[0], LEASE_MS, runs[1], LEASE_MS, runs[2]])
    counted = work.record.lost
    play(work, work.clock, "", [wait(work.record.token), DELAY_MS, begin("m1", "x9")])

    assert counted == 2
    assert work.record.lost == 0


def test_a_task_that_kills_every_worker_dies_after_max_lost_takeovers():
    work = Applied(ManualClock())
    steps = [step for number in range(6) for step in (begin("m1", f"x{number}", max_lost=3), LEASE_MS)]

    answers = play(work, work.clock, "", [admit(), *steps])

    assert [answer.kind for answer in answers[1:]] == [*[Kind.RUN] * 4, Kind.DEAD, Kind.DEAD]
    assert answers[-1].outcome == DEAD_OUTCOME


def test_a_heartbeat_renews_from_now_and_keeps_the_token():
    work = Applied(ManualClock())
    play(work, work.clock, "", [begin(), 25_000, heartbeat])

    assert work.record.until_ms == START_MS + 25_000 + LEASE_MS
    assert work.record.expires_ms == work.record.until_ms + TTL_MS
    assert work.record.token == START_MS * 1000


def test_a_wait_is_due_after_its_delay_and_helped_after_that():
    work = Applied(ManualClock())
    play(work, work.clock, "", [begin(), wait])

    assert work.record.until_ms == START_MS + DELAY_MS
    assert work.record.help_at_ms == START_MS + DELAY_MS + HELP_MS
    assert (work.record.message, work.record.retries) == (b"message of the retry", 1)


def test_a_confirmation_lets_the_message_wait_longer():
    work = Applied(ManualClock())
    play(work, work.clock, "", [admit(), confirm(help_ms=500_000)])

    assert work.record.help_at_ms == START_MS + 500_000


def test_a_confirmation_that_comes_late_does_not_disturb_the_run():
    work = Applied(ManualClock())
    play(work, work.clock, "", [admit(), begin()])
    running = work.record
    play(work, work.clock, "", [confirm(help_ms=500_000)])

    assert work.record == running


def test_a_new_submission_after_a_failure_starts_afresh_but_for_its_token():
    work = Applied(ManualClock())
    token = play(work, work.clock, "", [begin(retries=2), fail, 7])[0].token
    play(work, work.clock, "", [admit("m2")])

    expected = Record(State.QUEUED, "", "m2", token=token, message=b"message of m2", created_ms=START_MS + 7)
    names = ("state", "owner", "token", "message", "retries", "lost", "outcome", "created_ms", "finished_ms")
    assert [getattr(work.record, name) for name in names] == [getattr(expected, name) for name in names]


def test_an_outcome_keeps_no_message_and_no_execution():
    work = Applied(ManualClock())
    play(work, work.clock, "", [admit(), begin(), complete])

    assert (work.record.message, work.record.execution, work.record.progress) == (b"", "", "")


@pytest.mark.parametrize("outcome", [DEAD_OUTCOME, CANCELLED_OUTCOME])
def test_the_outcomes_of_the_engine_itself_are_envelopes(outcome):
    value, failure = envelope.opened(outcome)

    assert value is None
    assert failure.code in ("dead", "cancelled")


def test_a_released_run_that_begins_again_has_a_new_token_even_with_the_same_nonce():
    work = Applied(ManualClock())
    first, _, second = play(work, work.clock, "", [begin(), release, begin()])

    assert second.token == first.token + 1


def test_cancelling_what_waits_for_a_retry_ends_it():
    work = Applied(ManualClock())
    play(work, work.clock, "", [begin(), wait, cancel()])

    assert (work.record.state, work.record.outcome) == (State.FAILED, CANCELLED_OUTCOME)
