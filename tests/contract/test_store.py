"""The operation table of the design, row by row, against every store."""

import pytest

from queues.idempotency.machine import CANCELLED_OUTCOME, DEAD_OUTCOME
from queues.idempotency.state import Kind, State
from tests.contract.due_rows import DUE_ROWS, Row
from tests.contract.operations import (
    DELAY_MS,
    FAILURE,
    HELP_MS,
    LEASE_MS,
    OUTCOME,
    Step,
    admit,
    begin,
    cancel,
    complete,
    confirm,
    fail,
    fail_cached,
    heartbeat,
    help_,
    play,
    release,
    wait,
)

ADMITTED = (admit(), confirm())
RUNNING = (*ADMITTED, begin())
LOST = (*RUNNING, LEASE_MS)
WAITING = (*RUNNING, wait)
COMPLETED = (*RUNNING, complete)
SPENT = (*RUNNING, fail)
FAILED = (*RUNNING, fail_cached)
DEAD = (*RUNNING, LEASE_MS, begin("m1", "x2", max_lost=0))
KEYED = (admit(fingerprint="f1"),)
KEYED_RUNNING = (*KEYED, begin(fingerprint="f1"))
CANCELLING = (*RUNNING, cancel())


def stale(token: int) -> Step:
    return complete(token - 1)


ROWS = (
    Row("admit: nothing", (), admit(), Kind.ADMITTED, State.QUEUED),
    Row("admit: queued, same message", ADMITTED, admit(), Kind.ADMITTED, State.QUEUED),
    Row("admit: queued, same message, late", (admit(), HELP_MS), admit(), Kind.ADMITTED, State.QUEUED),
    Row("admit: queued, another message", ADMITTED, admit("m2"), Kind.INFLIGHT, State.QUEUED),
    Row("admit: unconfirmed, not yet late", (admit(), HELP_MS - 1), admit("m2"), Kind.INFLIGHT, State.QUEUED),
    Row("admit: unconfirmed too long", (admit(), HELP_MS), admit("m2"), Kind.HELP, State.QUEUED),
    Row("admit: confirmed, not yet late", (*ADMITTED, HELP_MS), admit("m2"), Kind.INFLIGHT, State.QUEUED),
    Row("admit: confirmed, too long", (*ADMITTED, 10 * HELP_MS), admit("m2"), Kind.HELP, State.QUEUED),
    Row("admit: running", RUNNING, admit("m2"), Kind.INFLIGHT, State.RUNNING),
    Row("admit: running, same message", RUNNING, admit(), Kind.INFLIGHT, State.RUNNING),
    Row("admit: lease about to end", (*RUNNING, LEASE_MS - 1), admit("m2"), Kind.INFLIGHT, State.RUNNING),
    Row("admit: lease over", LOST, admit("m2"), Kind.HELP, State.RUNNING),
    Row("admit: waiting", WAITING, admit("m2"), Kind.INFLIGHT, State.WAITING),
    Row("admit: waiting, just due", (*WAITING, DELAY_MS), admit("m2"), Kind.INFLIGHT, State.WAITING),
    Row("admit: waiting, overdue", (*WAITING, DELAY_MS + HELP_MS), admit("m2"), Kind.HELP, State.WAITING),
    Row("admit: completed", COMPLETED, admit("m2"), Kind.REPLAY, State.COMPLETED),
    Row("admit: failed and cached", FAILED, admit("m2"), Kind.REPLAY_ERROR, State.FAILED),
    Row("admit: failed, not cached", SPENT, admit("m2"), Kind.ADMITTED, State.QUEUED),
    Row("admit: dead", DEAD, admit("m2"), Kind.DEAD, State.DEAD),
    Row("admit: cancelled", (*ADMITTED, cancel()), admit("m2"), Kind.ADMITTED, State.QUEUED),
    Row("admit: other fingerprint", KEYED, admit("m2", "f2"), Kind.CONFLICT, State.QUEUED),
    Row(
        "admit: other fingerprint, same message",
        KEYED_RUNNING,
        admit("m1", "f2"),
        Kind.CONFLICT,
        State.RUNNING,
    ),
    Row(
        "admit: other fingerprint, completed",
        (*KEYED_RUNNING, complete),
        admit("m2", "f2"),
        Kind.CONFLICT,
        State.COMPLETED,
    ),
    Row("admit: same fingerprint", KEYED, admit("m2", "f1"), Kind.INFLIGHT, State.QUEUED),
    Row("confirm: nothing", (), confirm(), Kind.OK, State.UNKNOWN),
    Row("confirm: queued", (admit(),), confirm(), Kind.OK, State.QUEUED),
    Row("confirm: running already", (admit(), begin()), confirm(), Kind.OK, State.RUNNING),
    Row("confirm: completed already", COMPLETED, confirm(), Kind.OK, State.COMPLETED),
    Row("begin: nothing", (), begin(), Kind.RUN, State.RUNNING),
    Row("begin: queued", ADMITTED, begin(), Kind.RUN, State.RUNNING),
    Row("begin: queued, another message", ADMITTED, begin("m2"), Kind.RUN, State.RUNNING),
    Row("begin: waiting, own", WAITING, begin("m1", "x2"), Kind.RUN, State.RUNNING),
    Row("begin: waiting, another's", WAITING, begin("m2", "x2"), Kind.BUSY, State.WAITING),
    Row("begin: waiting, due", (*WAITING, DELAY_MS), begin("m2", "x2"), Kind.RUN, State.RUNNING),
    Row("begin: running, same execution", RUNNING, begin(), Kind.RUN, State.RUNNING),
    Row("begin: running, own message", RUNNING, begin("m1", "x2"), Kind.BUSY_SELF, State.RUNNING),
    Row("begin: running, another's", RUNNING, begin("m2", "x2"), Kind.BUSY, State.RUNNING),
    Row("begin: last ms", (*RUNNING, LEASE_MS - 1), begin("m2", "x2"), Kind.BUSY, State.RUNNING),
    Row("begin: lease over, lost < max", LOST, begin("m1", "x2", max_lost=1), Kind.RUN, State.RUNNING),
    Row("begin: lease over, lost = max", LOST, begin("m1", "x2", max_lost=0), Kind.DEAD, State.DEAD),
    Row(
        "begin: cancelled, lease over",
        (*CANCELLING, LEASE_MS),
        begin("m1", "x2"),
        Kind.REPLAY_ERROR,
        State.FAILED,
    ),
    Row("begin: completed", COMPLETED, begin("m1", "x2"), Kind.REPLAY, State.COMPLETED),
    Row("begin: completed, another's", COMPLETED, begin("m2", "x2"), Kind.REPLAY, State.COMPLETED),
    Row("begin: failed and cached", FAILED, begin("m2", "x2"), Kind.REPLAY_ERROR, State.FAILED),
    Row("begin: failed, own message", SPENT, begin("m1", "x2"), Kind.REPLAY_ERROR, State.FAILED),
    Row("begin: failed, another's", SPENT, begin("m2", "x2"), Kind.RUN, State.RUNNING),
    Row("begin: dead", DEAD, begin("m2", "x3"), Kind.DEAD, State.DEAD),
    Row("begin: cancelled", (*ADMITTED, cancel()), begin(), Kind.REPLAY_ERROR, State.FAILED),
    Row("begin: other fingerprint", KEYED, begin(fingerprint="f2"), Kind.CONFLICT, State.QUEUED),
    Row("heartbeat: mine", RUNNING, heartbeat, Kind.OK, State.RUNNING),
    Row("heartbeat: mine, lease over, none took it", LOST, heartbeat, Kind.OK, State.RUNNING),
    Row("heartbeat: cancelled", CANCELLING, heartbeat, Kind.CANCELLED, State.RUNNING),
    Row("heartbeat: nothing", (), heartbeat(7), Kind.FENCED, State.UNKNOWN),
    Row("heartbeat: completed", COMPLETED, heartbeat, Kind.FENCED, State.COMPLETED),
    Row("heartbeat: old token", RUNNING, heartbeat(7), Kind.FENCED, State.RUNNING),
    Row("complete: mine", RUNNING, complete, Kind.OK, State.COMPLETED),
    Row("complete: mine, lease over, none took it", LOST, complete, Kind.OK, State.COMPLETED),
    Row("complete: cancelled", CANCELLING, complete, Kind.OK, State.COMPLETED),
    Row("complete: twice", COMPLETED, complete, Kind.OK, State.COMPLETED),
    Row("complete: nothing", (), complete(7), Kind.FENCED, State.UNKNOWN),
    Row("complete: old token", RUNNING, stale, Kind.FENCED, State.RUNNING),
    Row("complete: queued", ADMITTED, complete(0), Kind.FENCED, State.QUEUED),
    Row("complete: after fail", SPENT, complete, Kind.FENCED, State.FAILED),
    Row("complete: after wait", WAITING, complete, Kind.FENCED, State.WAITING),
    Row("wait: mine", RUNNING, wait, Kind.OK, State.WAITING),
    Row("wait: twice", WAITING, wait, Kind.OK, State.WAITING),
    Row("wait: cancelled", CANCELLING, wait, Kind.CANCELLED, State.FAILED),
    Row("wait: old token", RUNNING, wait(7), Kind.FENCED, State.RUNNING),
    Row("wait: completed", COMPLETED, wait, Kind.FENCED, State.COMPLETED),
    Row("fail: mine", RUNNING, fail, Kind.OK, State.FAILED),
    Row("fail: twice", SPENT, fail, Kind.OK, State.FAILED),
    Row("fail: old token", RUNNING, fail(7), Kind.FENCED, State.RUNNING),
    Row("fail: completed", COMPLETED, fail, Kind.FENCED, State.COMPLETED),
    Row("release: mine", RUNNING, release, Kind.OK, State.QUEUED),
    Row("release: twice", (*RUNNING, release), release, Kind.OK, State.QUEUED),
    Row("release: cancelled", CANCELLING, release, Kind.CANCELLED, State.FAILED),
    Row("release: old token", RUNNING, release(7), Kind.FENCED, State.RUNNING),
    Row("release: nothing", (), release(7), Kind.FENCED, State.UNKNOWN),
    Row("cancel: nothing", (), cancel(), Kind.FENCED, State.UNKNOWN),
    Row("cancel: queued", ADMITTED, cancel(), Kind.OK, State.FAILED),
    Row("cancel: waiting", WAITING, cancel(), Kind.OK, State.FAILED),
    Row("cancel: running", RUNNING, cancel(), Kind.OK, State.RUNNING),
    Row("cancel: completed", COMPLETED, cancel(), Kind.REPLAY, State.COMPLETED),
    Row("cancel: dead", DEAD, cancel(), Kind.DEAD, State.DEAD),
    Row("help: nothing", (), help_(), Kind.OK, State.UNKNOWN),
    Row("help: not late", ADMITTED, help_(), Kind.OK, State.QUEUED),
    Row("help: unconfirmed too long", (admit(), HELP_MS), help_(), Kind.HELP, State.QUEUED),
    Row("help: lease over", LOST, help_(), Kind.HELP, State.RUNNING),
    Row("help: waiting, overdue", (*WAITING, DELAY_MS + HELP_MS), help_(), Kind.HELP, State.WAITING),
    Row("help: completed", (*COMPLETED, 10 * LEASE_MS), help_(), Kind.OK, State.COMPLETED),
    *DUE_ROWS,
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_row_of_the_operation_table_holds(store, clock, digest, row):
    answers = play(store, clock, digest, [*row.before, row.operation])
    record = store.read(digest)

    assert answers[-1].kind is row.kind
    assert (record.state if record else State.UNKNOWN) is row.state


@pytest.mark.parametrize(
    ("before", "expected"),
    [(COMPLETED, OUTCOME), (FAILED, FAILURE), (DEAD, DEAD_OUTCOME), ((*ADMITTED, cancel()), CANCELLED_OUTCOME)],
    ids=["completed", "failed", "dead", "cancelled"],
)
def test_a_stored_outcome_answers_every_later_delivery(store, clock, digest, before, expected):
    answers = play(store, clock, digest, [*before, begin("m1", "y1"), 1000, begin("m1", "y2")])

    assert [answer.outcome for answer in answers[-2:]] == [expected, expected]


@pytest.mark.parametrize("before", [ADMITTED, RUNNING, WAITING], ids=["queued", "running", "waiting"])
def test_a_duplicate_of_unfinished_work_is_told_its_owner(store, clock, digest, before):
    answer = play(store, clock, digest, [*before, admit("m2")])[-1]

    assert (answer.kind, answer.owner) == (Kind.INFLIGHT, "m1")


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ((admit(), HELP_MS), b"message of m1"),
        (LOST, b"message of m1"),
        ((*WAITING, DELAY_MS + HELP_MS), b"message of the retry"),
    ],
    ids=["queued", "running", "waiting"],
)
@pytest.mark.parametrize("helper", [admit("m2"), help_()], ids=["admit", "help"])
def test_help_hands_out_the_owners_message_once_an_interval(store, clock, digest, before, message, helper):
    first = play(store, clock, digest, [*before, helper])[-1]
    second = play(store, clock, digest, [helper])[-1]

    assert (first.kind, first.owner, first.message) == (Kind.HELP, "m1", message)
    assert second.kind in (Kind.INFLIGHT, Kind.OK)


def test_the_wait_for_a_live_lease_is_what_is_left_of_it(store, clock, digest):
    answers = play(store, clock, digest, [*RUNNING, 12_000, begin("m1", "x2"), begin("m2", "x3"), admit("m2")])

    assert [answer.wait_ms for answer in answers[-3:]] == [LEASE_MS - 12_000] * 3


def test_a_run_is_told_its_retries_and_how_many_workers_died(store, clock, digest):
    retried = play(store, clock, digest, [*WAITING, begin("m1", "x2", retries=9)])[-1]
    taken_over = play(store, clock, digest, [LEASE_MS, begin("m1", "x3")])[-1]

    assert (retried.retries, retried.lost) == (1, 0)
    assert (taken_over.retries, taken_over.lost) == (1, 1)


def test_a_run_without_a_record_takes_its_retries_from_the_message(store, clock, digest):
    answer = play(store, clock, digest, [begin(retries=2)])[-1]

    assert answer.retries == 2


def test_a_worker_that_lost_its_lease_cannot_write(store, clock, digest):
    old = play(store, clock, digest, RUNNING)[-1].token
    new = play(store, clock, digest, [LEASE_MS, begin("m1", "x2")])[-1].token

    writes = [heartbeat(old), complete(old, b"late"), wait(old), fail(old), release(old)]
    answers = [store.apply(digest, write) for write in writes]

    assert {answer.kind for answer in answers} == {Kind.FENCED}
    assert store.apply(digest, complete(new)).kind is Kind.OK
    assert store.apply(digest, admit("m2")).outcome == OUTCOME


@pytest.mark.parametrize("step_ms", [0, 1, -60_000], ids=["same ms", "next ms", "clock stepped back"])
@pytest.mark.parametrize(
    "ending", [(release,), (fail,), (wait, DELAY_MS), (LEASE_MS,)], ids=["released", "failed", "waited", "lost"]
)
def test_the_token_rises_with_each_run(store, clock, digest, ending, step_ms):
    first = play(store, clock, digest, [*RUNNING, *ending])[2].token
    # A clock that steps back lengthens a wait and a lease; only then is the next run refused.
    answers = play(store, clock, digest, [step_ms, begin("m2", "x2"), 120_000, begin("m2", "x3")])

    tokens = [answer.token for answer in answers if answer.kind is Kind.RUN]
    assert tokens
    assert [first, *tokens] == sorted({first, *tokens})


def test_the_token_rises_after_the_record_expired(store, clock, digest, forget):
    first = play(store, clock, digest, COMPLETED)[2].token
    forget(digest)
    second = play(store, clock, digest, [begin("m1", "x1")])[-1]

    assert second.kind is Kind.RUN
    assert second.token > first
