"""A look answers what `admit` would, and misses where `admit` changes the record: every case of what either reads."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from queues.idempotency import machine
from queues.idempotency.state import Admit, Duplicate, Kind, Look, Record, State
from tests.contract.operations import FAILURE, HELP_MS, OUTCOME, START_MS, TTL_MS

NOW_MS = START_MS
AROUND_NOW_MS = (NOW_MS - 1, NOW_MS, NOW_MS + 1)
ANSWERS = {Kind.INFLIGHT, Kind.REPLAY, Kind.REPLAY_ERROR, Kind.DEAD}
CHANGES = {Kind.ADMITTED, Kind.HELP, Kind.REPLACED, Kind.FOLLOWS}


def records() -> Iterator[Record | None]:
    """Nothing, and each kind of record."""
    yield None
    live = (State.QUEUED, State.RUNNING, State.WAITING)
    cases = itertools.product(
        live,
        ("", "f1"),
        (0, *AROUND_NOW_MS),
        AROUND_NOW_MS,
        ("", "x1"),
        (0, *AROUND_NOW_MS),
        (False, True),
        (b"", b"n"),
    )
    for state, fingerprint, until_ms, help_at_ms, execution, begin_by_ms, is_replaced, following in cases:
        yield Record(
            state,
            fingerprint,
            "m1",
            token=7 if execution else 0,
            execution=execution,
            message=b"message",
            until_ms=until_ms,
            help_at_ms=help_at_ms,
            is_replaced=is_replaced,
            next_message=following,
            begin_by_ms=begin_by_ms,
            expires_ms=NOW_MS + TTL_MS,
        )
    for state, fingerprint, is_cached in itertools.product(set(State) - {*live, State.UNKNOWN}, ("", "f1"), (0, 1)):
        outcome = OUTCOME if state is State.COMPLETED else FAILURE
        yield Record(
            state, fingerprint, "m1", token=7, outcome=outcome, is_cached=bool(is_cached), expires_ms=NOW_MS + 1
        )


def submissions(fingerprint: str, duplicate: Duplicate) -> Iterator[Admit]:
    """Every wish that a new message can have."""
    for quiet_ms, is_held, begin_by_ms in itertools.product((0, 5_000), (False, True), (0, *AROUND_NOW_MS)):
        admit = Admit(fingerprint, "m9", b"newer", HELP_MS, TTL_MS, None, duplicate)
        yield replace(admit, quiet_ms=quiet_ms, is_held=is_held, begin_by_ms=begin_by_ms)


@pytest.mark.parametrize("fingerprint", ["", "f1"])
def test_a_look_that_answers_says_what_admit_says_without_changing_anything(fingerprint: str):
    seen = set()
    for record in records():
        looked = machine.look(record, Look(fingerprint), NOW_MS)
        seen.add(looked.kind)
        for admit in submissions(fingerprint, Duplicate.JOIN):
            after, admitted = machine.admit(record, admit, NOW_MS)
            if looked.kind is not Kind.MISS:
                assert after is record, (record, admit)
                assert looked == admitted, (record, admit)

    assert seen == {*ANSWERS, Kind.MISS}


@pytest.mark.parametrize("fingerprint", ["", "f1"])
def test_a_look_misses_only_where_admit_changes_something_or_refuses(fingerprint: str):
    for record in records():
        looked = machine.look(record, Look(fingerprint), NOW_MS)
        for admit in submissions(fingerprint, Duplicate.JOIN):
            after, admitted = machine.admit(record, admit, NOW_MS)
            if looked.kind is Kind.MISS:
                assert (after is not record and admitted.kind in CHANGES) or admitted.kind is Kind.CONFLICT


@pytest.mark.parametrize("duplicate", Duplicate)
@pytest.mark.parametrize("fingerprint", ["", "f1"])
def test_a_look_for_an_outcome_says_what_admit_says_to_every_kind_of_message(fingerprint: str, duplicate: Duplicate):
    seen = set()
    for record in records():
        looked = machine.look(record, Look(fingerprint, is_ended=True), NOW_MS)
        seen.add(looked.kind)
        for admit in submissions(fingerprint, duplicate):
            after, admitted = machine.admit(record, admit, NOW_MS)
            if looked.kind is not Kind.MISS:
                assert after is record, (record, admit)
                assert looked == admitted, (record, admit)

    assert seen == {*ANSWERS, Kind.MISS} - {Kind.INFLIGHT}


def test_a_look_leaves_the_record_and_its_letters_alone():
    for record in records():
        after, _ = machine.apply(record, Look("f1"), NOW_MS)

        assert after is record
