"""What every store promises beside the operation table: outcomes, repetition, pipelines, threads, sizes."""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from queues import codec
from queues.idempotency import envelope
from queues.idempotency.state import Admit, Begin, Kind, State, Wait
from queues.idempotency.store import WORKER_SEEN_WITHIN_MS
from queues.stores.memory import MemoryStore
from queues.stores.redis import RedisStore
from tests.contract.operations import (
    DELAY_MS,
    HELP_MS,
    LEASE_MS,
    TTL_MS,
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

EVERY_BYTE = bytes(range(256)) * 3
RUNNING = (admit(), confirm(), begin())


@pytest.mark.parametrize("value", [None, 0, False, "", [], {}, 0.0, b""], ids=repr)
def test_an_empty_result_is_replayed_as_any_other(store, clock, digest, value):
    outcome = envelope.of_value(value, 1000)

    answer = play(store, clock, digest, [*RUNNING, lambda token: complete(token, outcome), begin("m2", "x2")])[-1]

    assert answer.kind is Kind.REPLAY
    replayed, failure = envelope.opened(answer.outcome)
    assert (replayed, type(replayed), failure) == (value, type(value), None)


CANCELLING = (*RUNNING, cancel())
REPEATED = {
    "admit": ((), admit()),
    "confirm": ((admit(),), confirm()),
    "begin": ((admit(),), begin()),
    "begin, running": (RUNNING, begin()),
    "heartbeat": (RUNNING, lambda token: heartbeat(token, '{"done":1}')),
    "complete": (RUNNING, complete),
    "wait": (RUNNING, wait),
    "fail": (RUNNING, fail),
    "fail, cached": (RUNNING, fail_cached),
    "release": (RUNNING, release),
    "cancel": (RUNNING, cancel()),
    "wait, cancelled": (CANCELLING, wait),
    "release, cancelled": (CANCELLING, release),
    "takeover": ((*RUNNING, LEASE_MS), begin("m1", "x2")),
    "takeover, dead": ((*RUNNING, LEASE_MS), begin("m1", "x2", max_lost=0)),
    "takeover, cancelled": ((*CANCELLING, LEASE_MS), begin("m1", "x2")),
    "takeover by another, cancelled": ((*CANCELLING, LEASE_MS), begin("m2", "x2")),
}


@pytest.mark.parametrize("name", REPEATED)
def test_an_operation_whose_reply_was_lost_may_be_sent_again(store, clock, digest, name):
    before, operation = REPEATED[name]
    play(store, clock, digest, before)
    record = store.read(digest)
    made = operation(record.token) if callable(operation) else operation

    first = store.apply(digest, made)
    once = store.read(digest)
    second = store.apply(digest, made)

    assert second == first
    assert without_expiry(store.read(digest)) == without_expiry(once)


def test_an_admission_whose_reply_was_lost_is_not_run_again_after_it_failed(store, clock, digest):
    answers = play(store, clock, digest, [admit(), begin(), fail, admit()])

    assert answers[-1].kind is Kind.REPLAY_ERROR


def test_outcomes_and_messages_are_any_bytes(store, clock, digest):
    store.apply(digest, Admit("", "m1", EVERY_BYTE, HELP_MS, TTL_MS))
    admitted = store.read(digest)
    token = store.apply(digest, Begin("", "m1", EVERY_BYTE[::-1], "x1", 0, LEASE_MS, 2, TTL_MS)).token
    running = store.read(digest)
    store.apply(digest, Wait(token, EVERY_BYTE[1:], 1, DELAY_MS, HELP_MS, TTL_MS))
    clock.advance(DELAY_MS + HELP_MS)
    helped = store.apply(digest, help_())
    token = store.apply(digest, begin("m1", "x2")).token
    store.apply(digest, complete(token, EVERY_BYTE))

    assert admitted.message == EVERY_BYTE
    assert running.message == EVERY_BYTE[::-1]
    assert helped.message == EVERY_BYTE[1:]
    assert store.apply(digest, admit("m2")).outcome == EVERY_BYTE


@pytest.mark.parametrize("value", ["f1", "f\x00\n", "Ω-ключ-鍵"])
def test_names_are_any_text(store, clock, digest, value):
    store.apply(digest, admit(value, value))
    running = store.apply(digest, begin(value, value, value))
    store.apply(digest, heartbeat(running.token, value))

    record = store.read(digest)
    assert (record.owner, record.fingerprint, record.execution, record.progress) == (value,) * 4
    assert store.apply(digest, admit("m2", "other")).kind is Kind.CONFLICT


def test_a_large_message_and_outcome_are_kept_whole(any_store, digest):
    large = secrets.token_bytes(8 * 1024 * 1024)

    any_store.apply(digest, Admit("", "m1", large, HELP_MS, TTL_MS))
    admitted = any_store.read(digest)
    token = any_store.apply(digest, begin()).token
    any_store.apply(digest, complete(token, large))

    assert admitted.message == large
    assert any_store.apply(digest, admit("m2")).outcome == large


def test_a_pipeline_answers_a_mix_of_operations_in_order(any_store):
    first, second, third = (secrets.token_hex(20) for _ in range(3))
    token = any_store.apply(second, begin()).token

    answers = any_store.apply_many(
        [
            (first, admit()),
            (second, heartbeat(token)),
            (third, cancel()),
            (first, begin()),
            (second, complete(token)),
            (first, admit("m2")),
            (second, admit("m2")),
        ]
    )

    assert [answer.kind for answer in answers] == [
        *(Kind.ADMITTED, Kind.OK, Kind.FENCED, Kind.RUN),
        *(Kind.OK, Kind.INFLIGHT, Kind.REPLAY),
    ]


def test_an_empty_pipeline_has_no_answers(any_store):
    assert any_store.apply_many([]) == []


def test_every_store_answers_a_ping_and_reads_nothing_where_nothing_is(any_store, digest):
    any_store.ping()

    assert any_store.read(digest) is None


def test_one_of_many_threads_gets_the_right_to_run(store, digest):
    together = threading.Barrier(64, timeout=60)

    def ask(number: int) -> Kind:
        together.wait()
        return store.apply(digest, begin(f"m{number}", f"x{number}")).kind

    with ThreadPoolExecutor(64) as pool:
        kinds = list(pool.map(ask, range(64)))

    assert sorted(kinds) == sorted([Kind.RUN, *[Kind.BUSY] * 63])


def test_unfinished_counts_live_work_only(any_store):
    queued, running, waiting, done = (secrets.token_hex(20) for _ in range(4))
    any_store.apply(queued, admit())
    any_store.apply(running, begin())
    any_store.apply(waiting, wait(any_store.apply(waiting, begin()).token))
    any_store.apply(done, complete(any_store.apply(done, begin()).token))

    assert any_store.unfinished() == 3


def test_work_that_expired_is_not_unfinished_once_recovery_has_looked(store, clock, digest, forget):
    store.apply(digest, admit())

    forget(digest)
    for found in store.due(0, 10):
        store.apply(found.digest, help_())

    assert store.unfinished() == 0
    assert store.due(0, 10) == []


def test_a_turn_is_taken_by_one_in_each_period(store):
    first = [store.take_turn("recovery", 60_000) for _ in range(3)]

    assert first == [True, False, False]
    assert store.take_turn("another", 60_000)


def test_of_the_moments_of_a_schedule_the_last_is_remembered(store, clock):
    store.ticked("nightly", 3_000)
    store.ticked("nightly", 2_000)
    store.ticked("hourly", 9_000)

    assert store.ticks() == ({"nightly": 3_000, "hourly": 9_000}, clock.now_ms())


def test_workers_are_listed_while_they_announce_themselves(store, clock):
    store.announce("celery@host:1")
    clock.advance(WORKER_SEEN_WITHIN_MS - 1)
    store.announce("dramatiq@host:2")
    both = store.workers()
    clock.advance(2)
    one = store.workers()

    assert [(info.name, info.backend) for info in both] == [
        ("celery@host:1", "celery"),
        ("dramatiq@host:2", "dramatiq"),
    ]
    assert [info.name for info in one] == ["dramatiq@host:2"]
    assert one[0].seen_ms == clock.now_ms() - 2


def test_a_worker_is_forgotten_at_the_same_ms_by_every_store(store, clock):
    store.announce("celery@host:1")
    clock.advance(WORKER_SEEN_WITHIN_MS)

    assert store.workers() == []


def test_a_record_is_read_whole(store: MemoryStore | RedisStore, clock, digest):
    admitted_ms = clock.now_ms()
    play(store, clock, digest, [admit(fingerprint="f1"), 500])
    token = store.apply(digest, begin(fingerprint="f1", execution="x1")).token
    store.apply(digest, heartbeat(token, '{"done":1}'))
    store.apply(digest, cancel())

    record = store.read(digest)
    assert (record.state, record.owner, record.fingerprint) == (State.RUNNING, "m1", "f1")
    assert (record.token, record.execution, record.message) == (token, "x1", b"message of m1")
    assert record.until_ms == record.help_at_ms == clock.now_ms() + LEASE_MS
    assert (record.progress, record.is_cancelled, record.created_ms) == ('{"done":1}', True, admitted_ms)


def test_progress_survives_a_heartbeat_without_any_and_ends_with_the_run(store, clock, digest):
    token = play(store, clock, digest, RUNNING)[-1].token
    store.apply(digest, heartbeat(token, codec.dumps({"done": 1}).decode()))
    store.apply(digest, heartbeat(token))
    kept = store.read(digest).progress
    store.apply(digest, release(token))

    assert kept == '{"done":1}'
    assert store.read(digest).progress == ""


def without_expiry(record):
    # The server's own clock runs on between two reads.
    return record and {name: getattr(record, name) for name in record.__slots__ if name != "expires_ms"}
