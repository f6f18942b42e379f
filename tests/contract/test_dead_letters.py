"""Dead letters in every store: which end of work leaves one, how it is found, and how the work is queued again."""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from queues.idempotency.letters import MAX_LETTERS, Totals
from queues.idempotency.machine import DEAD_OUTCOME
from queues.idempotency.state import Kind, State
from queues.stores.memory_letters import MemoryLetters
from queues.stores.redis_letters import RedisLetters
from tests.contract.operations import (
    FAILURE,
    LEASE_MS,
    LETTER_MS,
    START_MS,
    TTL_MS,
    admit,
    begin,
    bury,
    cancel,
    complete,
    drop,
    expiring,
    fail,
    fail_cached,
    following,
    play,
    release,
    revive,
    wait,
)

RUNNING = (admit(), begin())
KILLED = (*RUNNING, LEASE_MS, begin("m1", "x2"), LEASE_MS, begin("m1", "x3", max_lost=1))
Letters = MemoryLetters | RedisLetters


@pytest.fixture
def letters(store) -> Letters:
    """What reads the letters of the store."""
    return store.letters


@pytest.mark.parametrize(
    "steps",
    [
        (),
        RUNNING,
        (*RUNNING, complete),
        (*RUNNING, wait),
        (*RUNNING, release),
        (admit(), cancel()),
        (expiring(), 60_000, begin()),
        (*RUNNING, cancel(), fail),
        (*RUNNING, cancel(), LEASE_MS, begin("m1", "x2")),
        (*RUNNING, fail(7)),
        (*RUNNING, LEASE_MS, begin("m1", "x2", max_lost=1)),
    ],
    ids=[
        *("nothing", "running", "completed", "waiting", "released"),
        *("cancelled", "expired", "cancelled run", "cancelled, lease over", "fenced", "taken over"),
    ],
)
def test_what_did_not_fail_leaves_no_letter(store, letters, clock, digest, steps):
    play(store, clock, digest, steps)

    assert letters.newest(10) == []
    assert letters.totals() == Totals(0, 0)


@pytest.mark.parametrize("ending", [fail, fail_cached])
def test_a_failure_leaves_a_letter_with_its_story(store, letters, clock, digest, ending):
    play(store, clock, digest, [*RUNNING, 500, wait, begin("m1", "x2"), LEASE_MS, begin("m1", "x3"), 700, ending])

    letter = letters.get("m1")
    assert (letter.id, letter.digest, letter.state) == ("m1", digest, State.FAILED)
    assert (letter.message, letter.outcome) == (b"message of m1", FAILURE)
    assert (letter.attempts, letter.lost) == (2, 1)
    assert (letter.created_ms, letter.failed_ms) == (START_MS, START_MS + 500 + LEASE_MS + 700)
    assert letters.totals() == Totals(1, 0)


def test_work_that_kills_its_workers_leaves_a_letter(store, letters, clock, digest):
    play(store, clock, digest, KILLED)

    letter = letters.get("m1")
    assert (letter.state, letter.outcome, letter.attempts, letter.lost) == (State.DEAD, DEAD_OUTCOME, 1, 1)
    assert letter.message == b"message of m1"


def test_a_failure_that_is_followed_by_another_run_leaves_its_own_letter(store, letters, clock, digest):
    answers = play(store, clock, digest, [*RUNNING, following("m2"), fail])

    assert answers[-1].message == b"message of m2"
    assert letters.get("m1").message == b"message of m1"


def test_a_repeated_write_leaves_one_letter(store, letters, clock, digest):
    play(store, clock, digest, [*RUNNING, fail, 10, fail, bury("m9"), 10, bury("m9")])

    assert [letter.id for letter in letters.newest(10)] == ["m9", "m1"]


def test_a_letter_outlives_its_outcome_and_a_new_run(store, letters, clock, digest, forget):
    play(store, clock, digest, [*RUNNING, fail])
    forget(digest)
    play(store, clock, digest, [admit("m2"), begin("m2", "x2"), complete])

    assert letters.get("m1").outcome == FAILURE


def test_a_refused_message_is_kept_without_a_record(store, letters, clock, digest):
    answer = store.apply(digest, bury("m1", b"\x00garbage"))

    letter = letters.get("m1")
    assert answer.kind is Kind.OK
    assert (letter.message, letter.attempts, letter.created_ms) == (b"\x00garbage", 0, START_MS)
    assert store.read(digest) is None


def test_letters_are_listed_the_newest_first_and_paged(store, letters, clock):
    for number in range(12):
        store.apply(f"{number % 3:02x}{secrets.token_hex(19)}", bury(f"m{number:02}"))
        clock.advance(number % 2)
    ids = [f"m{number:02}" for number in reversed(range(12))]

    pages, cursor = [], None
    while page := letters.newest(3, cursor):
        pages.append([letter.id for letter in page])
        cursor = page[-1].cursor

    assert [letter_id for page in pages for letter_id in page] == ids
    assert [len(page) for page in pages] == [3, 3, 3, 3]


def test_a_letter_is_forgotten_after_its_time(store, letters, clock, digest):
    store.apply(digest, bury("m1"))
    clock.advance(LETTER_MS - 1)
    before = letters.get("m1")
    clock.advance(1)

    assert before is not None
    assert letters.get("m1") is None
    assert letters.newest(10) == []


def test_nothing_is_kept_where_the_setting_says_so(store, letters, clock, digest):
    store.apply(digest, bury("m1", letter_ms=0))

    assert letters.newest(10) == []


def test_a_dropped_letter_is_gone(store, letters, clock, digest):
    play(store, clock, digest, [*RUNNING, fail])

    assert [store.apply(digest, drop("m1")).kind for _ in range(2)] == [Kind.OK, Kind.FENCED]
    assert letters.newest(10) == []


def test_a_flood_leaves_the_newest_and_a_count_of_the_others(store, letters, clock):
    requests = [(f"00{secrets.token_hex(19)}", bury(f"m{number:03}")) for number in range(MAX_LETTERS + 5)]
    store.apply_many(requests)

    totals = letters.totals()
    assert (totals.kept, totals.removed) == (MAX_LETTERS, 5)
    assert letters.get("m004") is None
    assert letters.get("m005") is not None


@pytest.mark.parametrize(
    ("before", "back", "kind", "state"),
    [
        ((*RUNNING, fail), revive(), Kind.ADMITTED, State.QUEUED),
        ((*RUNNING, fail, admit("m2")), revive(), Kind.INFLIGHT, State.QUEUED),
        ((*RUNNING, fail, begin("m2", "x2")), revive(is_released=True), Kind.INFLIGHT, State.RUNNING),
        ((*RUNNING, fail, begin("m2", "x2"), complete), revive(), Kind.REPLAY, State.COMPLETED),
        ((*RUNNING, fail, begin("m2", "x2"), complete), revive(is_released=True), Kind.ADMITTED, State.QUEUED),
        ((*RUNNING, fail, begin("m2", "x2"), complete), revive("m1", "f1"), Kind.CONFLICT, State.COMPLETED),
        ((*RUNNING, fail_cached), revive(), Kind.REPLAY_ERROR, State.FAILED),
        ((*RUNNING, fail_cached), revive(is_released=True), Kind.ADMITTED, State.QUEUED),
        (KILLED, revive(), Kind.DEAD, State.DEAD),
        (KILLED, revive(is_released=True), Kind.ADMITTED, State.QUEUED),
        ((*RUNNING, fail, drop("m1")), revive(), Kind.FENCED, State.FAILED),
    ],
)
def test_the_work_of_a_letter_is_queued_again_where_nothing_answers(
    store, letters, clock, digest, before, back, kind, state
):
    play(store, clock, digest, before)

    answer = store.apply(digest, back)

    assert (answer.kind, answer.state, store.read(digest).state) == (kind, state, state)
    was_there = drop("m1") not in before
    assert (letters.get("m1") is not None) == (was_there and kind is not Kind.ADMITTED)


def test_revived_work_is_overdue_at_once_and_runs_as_if_new(store, letters, clock, digest):
    token = play(store, clock, digest, [*RUNNING, wait, begin("m1", "x2"), fail])[-2].token
    store.apply(digest, revive())

    record = store.read(digest)
    assert [due.digest for due in store.due(0, 10)] == [digest]
    assert (record.owner, record.message, record.retries, record.created_ms) == ("m1", b"message of m1", 0, START_MS)
    assert record.expires_ms > clock.now_ms() + TTL_MS - 10_000
    run = store.apply(digest, begin("m1", "x3"))
    assert run.kind is Kind.RUN
    assert run.token > token


def test_a_letter_of_work_whose_outcome_is_forgotten_is_revived(store, letters, clock, digest, forget):
    play(store, clock, digest, [*RUNNING, fail])
    forget(digest)

    assert store.apply(digest, revive()).kind is Kind.ADMITTED
    assert store.apply(digest, revive()).kind is Kind.INFLIGHT


def test_one_of_many_replays_queues_the_work(store, letters, clock, digest):
    play(store, clock, digest, [*RUNNING, fail])
    together = threading.Barrier(16, timeout=60)

    def ask(_: int) -> Kind:
        together.wait()
        return store.apply(digest, revive(is_released=True)).kind

    with ThreadPoolExecutor(16) as pool:
        kinds = sorted(pool.map(ask, range(16)))

    assert kinds == sorted([Kind.ADMITTED, *[Kind.INFLIGHT] * 15])


def test_what_lies_there_and_is_no_letter_is_shown_and_can_be_dropped(redis_store, valkey, digest):
    names, letters = redis_store.keys.letters(digest[:2]), redis_store.letters
    valkey.hset(names[0], "m1", "2 something newer")
    valkey.zadd(names[1], {"m1": START_MS})

    assert letters.get("m1").message == b"2 something newer"
    assert [letter.state for letter in letters.newest(10)] == [State.UNKNOWN]
    assert redis_store.apply(letters.get("m1").digest, drop("m1")).kind is Kind.OK
    assert letters.newest(10) == []
