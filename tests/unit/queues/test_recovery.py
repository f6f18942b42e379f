"""Recovery publishes work that nobody looks after, and nothing else."""

from dataclasses import replace

import pytest

from queues import Once, State, Tasks, errors
from queues.asking import message_for
from queues.call import Call
from queues.idempotency.machine import QUEUE_WAIT_MS
from queues.idempotency.recovery import BATCH, LONGEST_PERIOD_MS, Recovery
from queues.idempotency.state import Admit, Cancel
from queues.message import Message
from queues.stores.memory import MemoryStore
from tests.unit.queues.bench import LEASE_S, Bench, until

LEASE_MS = round(LEASE_S * 1000)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def recovery_of(bench: Bench, tasks: Tasks | None = None) -> Recovery:
    return Recovery(
        bench.store,
        tasks or bench.tasks,
        "celery",
        bench.publish,
        lambda m: not m.options.keys() - {"celery"},
        clock=bench.clock,
    )


def urgent(message: Message) -> Message:
    """The message as recovery publishes it: it has waited long enough."""
    return replace(message, priority=9)


def look(bench: Bench, recovery: Recovery) -> int:
    bench.clock.advance(recovery.period_ms)
    return recovery.look()


def test_work_whose_lease_ended_is_published_again(bench: Bench):
    message = bench.admitted(bench.task(lambda: 1))
    bench.guard.begin(message, Once(lease=LEASE_S))
    recovery = recovery_of(bench)
    found_early = look(bench, recovery)
    bench.clock.advance(LEASE_MS)
    found = look(bench, recovery)

    assert (found_early, found) == (0, 1)
    assert bench.published == [(urgent(message), 0)]


def test_a_takeover_whose_helper_died_before_it_published_is_repeated_within_half_a_lease(bench: Bench):
    def dies(message: Message, delay_ms: int) -> None:
        raise SystemExit

    message = bench.admitted(bench.task(lambda: 1))
    bench.guard.begin(message, Once(lease=LEASE_S))
    bench.clock.advance(LEASE_MS)
    with pytest.raises(SystemExit):
        look(bench, Recovery(bench.store, bench.tasks, "celery", dies, lambda _: True, clock=bench.clock))
    found = [look(bench, recovery_of(bench)) for _ in range(2)]

    assert sum(found) == 1
    assert bench.published == [(urgent(message), 0)]


def test_work_that_was_admitted_and_never_confirmed_is_published(bench: Bench):
    message = bench.admitted(bench.task(lambda: 1))
    bench.clock.advance(1_001)

    assert look(bench, recovery_of(bench)) == 1
    assert bench.published == [(urgent(message), 0)]
    assert bench.state(message) is State.QUEUED


def test_a_retry_that_is_late_is_published_with_its_retries(bench: Bench):
    def fails() -> None:
        raise OSError("no")

    message = bench.admitted(bench.task(fails))
    bench.executor.execute(message)
    bench.published.clear()
    bench.clock.advance(1_000 + LEASE_MS)

    assert look(bench, recovery_of(bench)) == 1
    assert bench.published == [(urgent(message.retried(1)), 0)]


def test_overdue_work_is_published_ever_more_rarely(bench: Bench):
    bench.admitted(bench.task(lambda: 1))
    recovery = recovery_of(bench)
    for _ in range(40):
        look(bench, recovery)
        bench.clock.advance(LEASE_MS // 2)

    assert 2 <= len(bench.published) <= 6


def held(bench: Bench, number: int = 0, *, delay_ms: int = 10_000, priority: int = 3) -> Message:
    task = bench.task(lambda n: n) if number == 0 else bench.tasks.get("bench.<lambda>")
    message = replace(bench.message(task, number), priority=priority)
    request = Admit("", message.id, message.encoded(), 1_000, 60_000, quiet_ms=delay_ms, is_held=True)
    bench.store.apply(message.digest, request)
    return message


def test_held_work_is_published_when_it_is_due_with_its_own_priority(bench: Bench):
    recovery = recovery_of(bench)
    message = held(bench, delay_ms=2 * 750)
    published = []
    for _ in range(12):
        bench.clock.advance(150)
        published.append(recovery.look())

    assert recovery.period_ms == 750
    assert published.index(1) == 10  # 150 ms after it was due, although a look at the index comes at 1,500 and 2,250
    assert sum(published) == 1
    assert bench.published == [(message, 0)]
    assert bench.record(message).help_at_ms == bench.clock.now_ms() - 150 + QUEUE_WAIT_MS


def test_a_lease_that_ends_between_two_looks_is_left_to_the_second(bench: Bench):
    message = bench.admitted(bench.task(lambda: 1))
    bench.guard.begin(message, Once(lease=LEASE_S))
    recovery = recovery_of(bench)
    bench.clock.advance(LEASE_MS - 200)
    recovery.look()
    bench.clock.advance(300)
    found_between = recovery.look()
    bench.clock.advance(recovery.period_ms)

    assert found_between == 0
    assert recovery.look() == 1


def test_ten_thousand_that_are_due_at_once_are_published_without_a_pause(bench: Bench):
    messages = [held(bench, number) for number in range(10_000)]
    recovery = recovery_of(bench)
    bench.clock.advance(9_900)
    found_early = recovery.look()
    bench.clock.advance(150)
    looks = 0
    while recovery.look():
        looks += 1

    assert found_early == 0
    assert looks <= 10_000 // BATCH + 1
    assert sorted(sent.id for sent, _ in bench.published) == sorted(message.id for message in messages)


def test_held_work_that_was_cancelled_is_not_published(bench: Bench):
    message = held(bench)
    recovery = recovery_of(bench)
    bench.clock.advance(9_000)
    recovery.look()
    bench.store.apply(message.digest, Cancel(60_000))
    bench.clock.advance(2_000)

    assert recovery.look() == 0
    assert bench.published == []


def test_an_unknown_task_is_left_to_workers_that_know_it(bench: Bench):
    message = bench.admitted(bench.task(lambda: 1))
    bench.clock.advance(1_001)

    found_by_strangers = look(bench, recovery_of(bench, Tasks()))
    bench.clock.advance(LONGEST_PERIOD_MS)

    assert found_by_strangers == 0
    assert look(bench, recovery_of(bench)) == 1
    assert bench.published == [(urgent(message), 0)]


def test_another_backends_message_is_left_to_it(bench: Bench):
    task = bench.task(lambda: 1)
    theirs = replace(bench.message(task), options={"dramatiq": {"pipe_target": {}}})
    bench.store.apply(theirs.digest, Admit("", theirs.id, theirs.encoded(), 1_000, 60_000))
    bench.clock.advance(1_001)

    assert look(bench, recovery_of(bench)) == 0
    assert bench.published == []


def test_finished_work_is_left_alone(bench: Bench):
    message = bench.admitted(bench.task(lambda: 1))
    bench.executor.execute(message)
    bench.clock.advance(10_000)

    assert look(bench, recovery_of(bench)) == 0
    assert bench.published == []


def test_a_record_that_cannot_be_read_does_not_keep_others_from_being_found(bench: Bench):
    bench.store.apply("00" * 20, Admit("", "x", b"not a message", 500, 60_000))
    message = bench.admitted(bench.task(lambda: 1))
    bench.clock.advance(1_001)

    assert look(bench, recovery_of(bench)) == 1
    assert bench.published == [(urgent(message), 0)]


def test_only_one_worker_looks_in_a_period(bench: Bench):
    bench.admitted(bench.task(lambda: 1))
    first, second = recovery_of(bench), recovery_of(bench)
    bench.clock.advance(5_000)

    assert first.look() == 1
    assert second.look() == 0


def test_the_period_is_a_quarter_of_the_shortest_lease(bench: Bench):
    bench.task(lambda: 1, once=Once(lease=20))
    period_of_one_ms = recovery_of(bench).period_ms
    bench.tasks.task(name="bench.shorter", once=Once(lease=4))(lambda: 1)

    assert period_of_one_ms == 5_000
    assert recovery_of(bench).period_ms == 1_000


def test_work_that_the_broker_did_not_take_at_once_is_published_again(bench: Bench):
    message = bench.admitted(bench.task(lambda: 1))
    takes: list[Message] = []

    def refuse_once(message: Message, delay_ms: int) -> None:
        takes.append(message)
        if len(takes) == 1:
            raise errors.BrokerUnavailableError("away")

    recovery = Recovery(bench.store, bench.tasks, "celery", refuse_once, lambda _: True)
    bench.clock.advance(1_001)

    assert look(bench, recovery) == 1
    assert takes == [urgent(message), urgent(message)]


def test_work_that_the_broker_does_not_take_is_left_for_a_later_look(bench: Bench):
    refused = bench.admitted(bench.task(lambda: 1))
    other = bench.admitted(bench.tasks.task(name="bench.other", once=Once(lease=LEASE_S))(lambda: 2))
    takes: list[str] = []

    def refuse(message: Message, delay_ms: int) -> None:
        if message.id == refused.id and takes.count(refused.id) < 3:
            takes.append(refused.id)
            raise errors.BrokerUnavailableError("away")
        takes.append(message.id)

    recovery = Recovery(bench.store, bench.tasks, "celery", refuse, lambda _: True)
    bench.clock.advance(1_001)
    found = look(bench, recovery)
    bench.clock.advance(LEASE_MS)
    look(bench, recovery)

    assert found == 1
    assert takes.count(refused.id) == 4
    assert other.id in takes


def test_its_thread_announces_the_worker_and_goes_on_after_an_error(bench: Bench):
    bench.admitted(bench.task(lambda: 1, once=Once(lease=0.4)))
    takes: list[Message] = []

    def refuse_once(message: Message, delay_ms: int) -> None:
        takes.append(message)
        if len(takes) == 1:
            raise errors.BrokerUnavailableError("away")

    recovery = Recovery(bench.store, bench.tasks, "celery", refuse_once, lambda _: True)
    bench.clock.advance(1_001)
    recovery.start()
    until(lambda: takes)
    bench.clock.advance(5_000)
    until(lambda: len(takes) >= 2)
    recovery.stop()

    assert [worker.backend for worker in bench.store.workers()] == ["celery"]


def test_the_thread_survives_any_error_of_a_publication():
    store, tasks = MemoryStore(), Tasks(namespace="t")
    task = tasks.task(name="t.one", once=Once(lease=0.4))(lambda: None)
    message = message_for(task, Call(), 0)
    store.apply(message.digest, Admit("", message.id, message.encoded(), 1, 60_000))
    published: list[str] = []

    def publish(sent: Message, delay_ms: int) -> None:
        published.append(sent.id)
        if len(published) == 1:
            raise RuntimeError("a driver's own bug")

    recovery = Recovery(store, tasks, "memory", publish, lambda _: True)
    recovery.start()

    try:
        until(lambda: len(published) >= 2)
    finally:
        recovery.stop()
    assert set(published) == {message.id}
