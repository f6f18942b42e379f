"""A look on every store: it answers as `admit` does, or says that `admit` is to be asked, and changes nothing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from queues.idempotency.state import Kind, Look, Record
from tests.contract.operations import (
    BEGIN_BY_MS,
    HELP_MS,
    LEASE_MS,
    START_MS,
    ManualClock,
    Step,
    admit,
    begin,
    cancel,
    complete,
    expiring,
    fail,
    fail_cached,
    following,
    holding,
    play,
    release,
    replacing,
    wait,
)

ANSWERED: dict[str, tuple[Sequence[Step], Kind]] = {
    "queued": ([admit()], Kind.INFLIGHT),
    "queued, replaced": ([admit(), replacing("m2")], Kind.INFLIGHT),
    "queued, with time to begin": ([expiring()], Kind.INFLIGHT),
    "held": ([holding()], Kind.INFLIGHT),
    "running": ([admit(), begin()], Kind.INFLIGHT),
    "running, to be followed": ([admit(), begin(), following("m2")], Kind.INFLIGHT),
    "running, asked to stop": ([admit(), begin(), cancel()], Kind.INFLIGHT),
    "waiting": ([admit(), begin(), wait], Kind.INFLIGHT),
    "given back": ([admit(), begin(), release], Kind.INFLIGHT),
    "completed": ([admit(), begin(), complete], Kind.REPLAY),
    "failed, cached": ([admit(), begin(), fail_cached], Kind.REPLAY_ERROR),
    "dead": ([admit(), begin(max_lost=0), LEASE_MS, begin(execution="x2", max_lost=0)], Kind.DEAD),
}
MISSED: dict[str, tuple[Sequence[Step], Kind]] = {
    "nothing": ([], Kind.ADMITTED),
    "queued, overdue": ([admit(), HELP_MS], Kind.HELP),
    "queued, expired": ([expiring(), BEGIN_BY_MS[0] - START_MS], Kind.ADMITTED),
    "held, overdue": ([holding(), 61_000], Kind.HELP),
    "running, lease over": ([admit(), begin(), LEASE_MS], Kind.HELP),
    "waiting, overdue": ([admit(), begin(), wait, 81_000], Kind.HELP),
    "failed": ([admit(), begin(), fail], Kind.ADMITTED),
    "cancelled": ([admit(), cancel()], Kind.ADMITTED),
}


def is_unchanged(before: Record | None, after: Record | None) -> bool:
    """Whether nothing was written; a server's expiry runs on while the test's clock stands still."""
    if before is None or after is None:
        return before is after
    return after == replace(before, expires_ms=after.expires_ms) and after.expires_ms <= before.expires_ms


@pytest.mark.parametrize("case", ANSWERED)
def test_a_look_answers_as_admit_does(store: Any, clock: ManualClock, digest: str, case: str):
    steps, kind = ANSWERED[case]
    play(store, clock, digest, steps)
    before = store.read(digest)

    looked = store.apply(digest, Look(""))
    for_outcome = store.apply(digest, Look("", is_ended=True))
    after = store.read(digest)

    assert looked.kind is kind
    assert is_unchanged(before, after)
    assert looked == store.apply(digest, admit("m9"))
    assert for_outcome == (looked if kind is not Kind.INFLIGHT else store.apply(digest, Look("other")))


@pytest.mark.parametrize("case", MISSED)
def test_a_look_misses_what_admit_would_change(store: Any, clock: ManualClock, digest: str, case: str):
    steps, kind = MISSED[case]
    play(store, clock, digest, steps)
    before = store.read(digest)

    looks = [store.apply(digest, Look("", is_ended=is_ended)).kind for is_ended in (False, True)]
    after = store.read(digest)

    assert looks == [Kind.MISS, Kind.MISS]
    assert is_unchanged(before, after)
    assert store.apply(digest, admit("m9")).kind is kind


@pytest.mark.parametrize("case", ANSWERED)
def test_a_look_with_another_fingerprint_misses(store: Any, clock: ManualClock, digest: str, case: str):
    play(store, clock, digest, ANSWERED[case][0])

    looks = [store.apply(digest, Look("f9", is_ended=is_ended)).kind for is_ended in (False, True)]

    assert looks == [Kind.MISS, Kind.MISS]
    assert store.apply(digest, admit("m9", "f9")).kind is Kind.CONFLICT


def test_looks_go_with_other_operations_in_one_round_trip(any_store: Any, digest: str):
    other = f"{digest[:2]}{'0' * 38}"

    answers = any_store.apply_many(
        [
            (digest, admit()),
            (digest, Look("")),
            (digest, Look("", is_ended=True)),
            (digest, begin()),
            (digest, cancel()),
            (other, Look("")),
        ]
    )

    kinds = [answer.kind for answer in answers]
    assert kinds == [Kind.ADMITTED, Kind.INFLIGHT, Kind.MISS, Kind.RUN, Kind.OK, Kind.MISS]


@pytest.mark.parametrize("is_ended", [False, True])
def test_every_store_answers_a_look(any_store: Any, digest: str, is_ended: bool):
    missed = any_store.apply(digest, Look("f1", is_ended))
    run = any_store.apply(digest, begin(fingerprint="f1"))
    any_store.apply(digest, complete(run.token, b"\x00 outcome"))

    told = any_store.apply(digest, Look("f1", is_ended))

    assert missed.kind is Kind.MISS
    assert (told.kind, told.owner, told.token, told.outcome) == (Kind.REPLAY, "m1", run.token, b"\x00 outcome")
    assert told == any_store.apply(digest, admit("m9", "f1"))
