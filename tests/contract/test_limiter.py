"""Every store counts starts and runs in the same way: by the pure functions of `queues.limits`, on its own clock."""

import itertools
import random
import threading
import time

import pytest

from queues.limits import concurrency, rate
from queues.limits.concurrency import Slot
from queues.limits.rate import Rate
from queues.stores.redis import RedisStore
from tests.contract.operations import ManualClock

SECOND_US = 1_000_000
LEASE_MS = 30_000


def slot(holder: str, limit: int = 2, *, token: int = 1, name: str = "task", lease_ms: int = LEASE_MS) -> Slot:
    return Slot(name, limit, lease_ms, holder, token)


def take(store, wanted: Slot, **verified_ms: int) -> int:
    """How long to wait; the ended slots of others are given away unless their leases are named."""
    answer = store.limiter.take_slot(wanted, {})
    if answer.ended:
        leases_ms = {member: verified_ms.get(member.partition(" ")[0], 0) for member in answer.ended}
        answer = store.limiter.take_slot(wanted, leases_ms)
    return answer.wait_ms


def test_starts_are_evenly_spaced(store, clock: ManualClock):
    first = store.limiter.take_turn("task", "m1", SECOND_US)
    early = store.limiter.take_turn("task", "m2", SECOND_US)
    clock.advance(early.wait_ms)
    again = store.limiter.take_turn("task", "m2", SECOND_US)

    assert (first.is_given, first.wait_ms) == (True, 0)
    assert (early.is_given, early.wait_ms) == (False, 1000)
    assert (again.is_given, again.wait_ms) == (True, 0)


def test_a_backlog_gets_places_one_behind_the_other_and_asks_no_more(store, clock: ManualClock):
    waits = [store.limiter.take_turn("task", f"m{n}", SECOND_US).wait_ms for n in range(50)]
    asked = 0
    for n in range(1, 50):
        clock.advance(1000)
        asked += 1
        assert store.limiter.take_turn("task", f"m{n}", SECOND_US).is_given

    assert waits == [n * 1000 for n in range(50)]
    assert asked == 49


def test_a_copy_of_a_waiting_message_takes_no_other_place(store, clock: ManualClock):
    store.limiter.take_turn("task", "m1", SECOND_US)
    first = store.limiter.take_turn("task", "m2", SECOND_US)
    copies = [store.limiter.take_turn("task", "m2", SECOND_US) for _ in range(5)]
    next_one = store.limiter.take_turn("task", "m3", SECOND_US)

    assert copies == [first] * 5
    assert next_one.wait_ms == 2000


def test_who_comes_later_goes_behind_the_line(store, clock: ManualClock):
    for n in range(10):
        store.limiter.take_turn("task", f"m{n}", SECOND_US)
    clock.advance(1500)  # m1 is late, and its turn is free
    late = store.limiter.take_turn("task", "newcomer", SECOND_US)

    assert not late.is_given
    assert late.wait_ms == 8500


def test_messages_that_come_late_together_do_not_start_together(store, clock: ManualClock):
    for n in range(20):
        store.limiter.take_turn("task", f"m{n}", SECOND_US)
    clock.advance(60_000)  # no worker lived
    turns = [store.limiter.take_turn("task", f"m{n}", SECOND_US) for n in range(1, 20)]

    assert [turn.is_given for turn in turns] == [True] + [False] * 18
    assert [turn.wait_ms for turn in turns] == [n * 1000 for n in range(19)]


def test_turns_that_nobody_took_are_given_to_who_comes(store, clock: ManualClock):
    for n in range(1000):
        store.limiter.take_turn("task", f"cancelled{n}", SECOND_US)
    clock.advance(3000)

    assert store.limiter.take_turn("task", "m1", SECOND_US).is_given


def test_a_turn_that_comes_at_once_is_given_with_its_wait(store, clock: ManualClock):
    store.limiter.take_turn("task", "m1", SECOND_US // 10)
    turn = store.limiter.take_turn("task", "m2", SECOND_US // 10)

    assert (turn.is_given, turn.wait_ms) == (True, 100)


def test_tasks_do_not_share_a_rate(store):
    assert store.limiter.take_turn("task", "m1", SECOND_US).is_given
    assert store.limiter.take_turn("another {task}", "m1", SECOND_US).is_given


def test_no_more_runs_than_slots(store):
    waits = [take(store, slot(f"m{n}")) for n in range(4)]

    assert waits == [0, 0, concurrency.SHORTEST_WAIT_MS, concurrency.SHORTEST_WAIT_MS]
    assert take(store, slot("m9", name="another")) == 0


def test_a_freed_slot_is_anothers(store):
    held = slot("m1", 1)
    take(store, held)
    assert take(store, slot("m2", 1)) > 0
    store.limiter.free_slot(held)
    store.limiter.free_slot(held)

    assert take(store, slot("m2", 1)) == 0
    assert take(store, slot("m3", 1)) > 0


def test_a_repeated_request_takes_one_slot(store):
    assert [take(store, slot("m1")) for _ in range(3)] == [0, 0, 0]
    assert take(store, slot("m2")) == 0


def test_the_slot_of_a_dead_run_ends_with_its_lease(store, clock: ManualClock):
    take(store, slot("m1", 1))
    clock.advance(LEASE_MS - 1)
    assert take(store, slot("m2", 1)) > 0
    clock.advance(1)

    assert take(store, slot("m2", 1)) == 0


def test_a_renewed_slot_is_kept(store, clock: ManualClock):
    held = slot("m1", 1)
    take(store, held)
    for _ in range(5):
        clock.advance(LEASE_MS - 1)
        assert store.limiter.keep_slots([held]) == [True]

    assert take(store, slot("m2", 1)) > 0


def test_a_slot_that_another_was_given_is_lost(store, clock: ManualClock):
    held = slot("m1", 1)
    take(store, held)
    clock.advance(LEASE_MS)
    take(store, slot("m2", 1))

    assert store.limiter.keep_slots([held]) == [False]


def test_a_later_run_of_the_same_message_does_not_share_the_slot_of_the_earlier(store, clock: ManualClock):
    earlier, later = slot("m1", 1, token=1), slot("m1", 1, token=2)
    take(store, earlier)
    clock.advance(LEASE_MS)
    take(store, later)
    store.limiter.free_slot(earlier)

    assert store.limiter.keep_slots([earlier, later]) == [False, True]


def test_an_ended_slot_whose_run_holds_its_lease_is_not_given_away(store, clock: ManualClock):
    held = slot("m1", 1)
    take(store, held)
    clock.advance(LEASE_MS + 1)

    assert take(store, slot("m2", 1), m1=clock.now_ms() + LEASE_MS) > 0
    assert store.limiter.take_slot(slot("m2", 1), {}).ended == ()
    assert store.limiter.keep_slots([held]) == [True]


def test_a_slot_that_was_renewed_while_it_was_verified_is_not_given_away(store, clock: ManualClock):
    held = slot("m1", 1)
    take(store, held)
    clock.advance(LEASE_MS + 1)
    ended = store.limiter.take_slot(slot("m2", 1), {}).ended
    store.limiter.keep_slots([held])

    assert ended == (held.member,)
    assert store.limiter.take_slot(slot("m2", 1), dict.fromkeys(ended, 0)).wait_ms > 0


def test_an_ended_slot_that_nobody_took_is_kept(store, clock: ManualClock):
    held = slot("m1", 1)
    take(store, held)
    clock.advance(LEASE_MS + 1)

    assert store.limiter.keep_slots([held]) == [True]
    assert take(store, slot("m2", 1)) > 0


def test_a_freed_slot_is_not_renewed(store):
    held = slot("m1", 1)
    take(store, held)
    store.limiter.free_slot(held)

    assert store.limiter.keep_slots([held]) == [False]
    assert take(store, slot("m2", 1)) == 0


def test_a_long_backlog_asks_less_often(store, clock: ManualClock):
    take(store, slot("m0", 1))
    waits = [take(store, slot(f"m{n}", 1)) for n in range(1, 201)]
    again = take(store, slot("m1", 1))
    clock.advance(concurrency.LONGEST_WAIT_MS + concurrency.OVERDUE_AFTER_MS)
    take(store, slot("m0", 1))

    assert waits == [max(500, n * 50) for n in range(1, 201)]
    assert again == 200 * 50
    assert take(store, slot("m5", 1)) == concurrency.SHORTEST_WAIT_MS  # the others never came again


def test_who_does_not_come_again_is_counted_until_a_minute_after_its_time(store, clock: ManualClock):
    take(store, slot("m0", 1))
    for n in range(1, 201):
        take(store, slot(f"m{n}", 1))  # half of them are to come again within 5 s
    clock.advance(concurrency.OVERDUE_AFTER_MS + 5_000)

    assert take(store, slot("m201", 1), m0=clock.now_ms() + LEASE_MS) == 101 * concurrency.MS_PER_WAITING


def test_nothing_to_renew_is_nothing_to_ask(store):
    assert store.limiter.keep_slots([]) == []


@pytest.mark.parametrize("text", ["10/s", "100/m", "1000/h", "1/h", "7/m", "999999/s"])
def test_never_more_starts_in_a_period_than_the_rate_says(text: str):
    chance, parsed = random.Random(text), Rate.parsed(text)
    period_us, interval_us = rate.PERIODS_US[parsed.unit], parsed.interval_us
    line, now_us, starts, due = rate.Line(), 1_760_000_000_000_000, [], {}
    for n in range(1500):
        name = min(due, key=due.get) if due and chance.random() < 0.6 else f"m{n}"
        now_us = max(now_us + round(chance.expovariate(1 / (0.4 * interval_us))), due.pop(name, 0))
        line, turn = rate.take_turn(line, name, interval_us, now_us)
        if turn.is_given:
            starts.append(max(now_us, line.next_us - interval_us))
        else:
            due[name] = now_us + turn.wait_ms * 1000

    assert len(starts) > 100
    assert all(later - earlier >= interval_us for earlier, later in itertools.pairwise(starts))
    assert all(b - a >= period_us for a, b in zip(starts, starts[parsed.count :], strict=False))


@pytest.mark.parametrize(
    "text", ["", "10", "0/s", "-1/s", "1.5/s", "10/d", "10 / s", "10/s ", "1000000/s", 10, None, b"1/s"]
)
def test_a_rate_that_cannot_be_read_is_refused(text: object):
    with pytest.raises(ValueError, match="rate_limit="):
        Rate.parsed(text)


def test_no_more_than_the_limit_by_the_servers_clock_with_many_workers(valkey_url: str, key_prefix: str):
    """Workers that take, keep, free and die at random; a slot is held until it is freed or its lease ends."""
    limit, lease_ms, deadline = 3, 400, time.monotonic() + 4
    most, wrong = [0], []
    inside: dict[int, float] = {}
    lock = threading.Lock()

    def work(number: int) -> None:
        chance = random.Random(number)
        with_store = RedisStore(valkey_url, prefix=key_prefix)
        taken = 0
        while time.monotonic() < deadline:
            mine = slot(f"m{number}-{taken}", limit, token=taken, lease_ms=lease_ms)
            asked_s = time.monotonic()
            if take(with_store, mine):
                time.sleep(chance.random() * 0.02)
                continue
            taken += 1
            with lock:
                # Until then the server surely counts it: given after it was asked for, in whole ms.
                inside[number] = asked_s + (lease_ms - 2) / 1000
                now_s = time.monotonic()
                living = sum(end_s > now_s for end_s in inside.values())
                most[0] = max(most[0], living)
                if living > limit:
                    wrong.append(living)
            time.sleep(chance.random() * 0.03)
            if chance.random() < 0.1:
                time.sleep(lease_ms / 1000)  # its process died; nobody frees the slot
                continue
            with lock:
                del inside[number]
            with_store.limiter.free_slot(mine)
        with_store.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert most == [limit]
