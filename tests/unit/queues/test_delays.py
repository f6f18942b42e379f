"""When submitted work is due, who holds it until then, and by when it must begin."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from queues import Call, Decision, Once, errors
from queues.asking import message_for
from queues.idempotency.machine import QUEUE_WAIT_MS
from queues.message import Message
from queues.task import AnyTask
from tests.unit.queues.test_producer import Shop


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_delayed_submission_counts_as_lost_a_lease_after_its_time(shop: Shop):
    shop.add.send_with_options((1,), delay=5)
    shop.clock.advance(5_000 + 29_999)
    still_waiting = shop.store.due(0, 10)
    shop.clock.advance(1)

    assert still_waiting == []
    assert len(shop.store.due(0, 10)) == 1


@pytest.mark.parametrize("delay", [60.001, 30 * 86_400], ids=str)
def test_a_long_delay_is_held_by_the_record_and_outlasts_it(shop: Shop, delay: float):
    handle = shop.add.send_with_options((1,), delay=delay)
    record = shop.store.read(handle.key)
    shop.clock.advance(round(delay * 1000))
    due = shop.store.due(0, 10)
    again = shop.add.send(1)

    assert record.is_held
    assert [found.digest for found in due] == [handle.key]
    assert record.expires_ms - record.until_ms == 30 * 86_400_000
    assert (again.decision, again.id) == (Decision.JOINED, handle.id)
    assert shop.taken == [handle.id]  # by the duplicate, now that it is due


def test_a_delay_of_a_minute_is_the_brokers(shop: Shop):
    shop.add.send_with_options((1,), delay=60)

    assert [delay_ms for _, delay_ms in shop.backend.taken] == [60_000]


def test_an_eta_is_counted_from_the_clock(shop: Shop):
    now = datetime.fromtimestamp(shop.clock.now_ms() / 1000, UTC)
    shop.add.send_with_options((1,), eta=now + timedelta(seconds=2))
    shop.add.send_with_options((2,), eta=now - timedelta(days=9))
    shop.add.send_with_options((3,), eta=now + timedelta(days=30))

    assert [delay_ms for _, delay_ms in shop.backend.taken] == [2_000, 0]
    with pytest.raises(errors.InvalidOptionError, match="at most 30 days away"):
        shop.add.send_with_options((4,), eta=now + timedelta(days=30, seconds=1))


def test_the_time_to_begin_by_goes_with_the_message_and_bounds_the_wait_for_recovery(shop: Shop):
    now_ms = shop.clock.now_ms()
    moment = datetime.fromtimestamp(now_ms / 1000, UTC) + timedelta(seconds=40)
    handles = [
        shop.add.send_with_options((1,), expires=20),
        shop.add.send_with_options((2,), expires=20, delay=5),
        shop.add.send_with_options((3,), expires=20, delay=500),
        shop.add.send_with_options((4,), expires=moment),
        shop.add.send(5),
    ]
    records = [shop.store.read(handle.key) for handle in handles]

    assert [r.begin_by_ms and r.begin_by_ms - now_ms for r in records] == [20_000, 25_000, 520_000, 40_000, 0]
    assert [Message.decoded(r.message).begin_by_ms for r in records] == [r.begin_by_ms for r in records]
    assert [r.help_at_ms - now_ms for r in records] == [20_000, 25_000, 500_000, 40_000, QUEUE_WAIT_MS]


def test_a_tasks_own_expiry_is_counted_from_when_its_work_is_due(shop: Shop):
    task: AnyTask = shop.tasks.task(name="shop.perishable", expires=3)(lambda a: a)
    now_ms = shop.clock.now_ms()
    records = [
        shop.store.read(handle.key)
        for handle in (task.send(1), task.send_with_options((2,), delay=9), task.send_with_options((3,), expires=7))
    ]

    assert [record.begin_by_ms - now_ms for record in records] == [3_000, 12_000, 7_000]
    with pytest.raises(errors.InvalidOptionError, match="expires=0"):
        shop.tasks.task(name="shop.never", expires=0)(lambda: None)


def test_a_message_that_does_not_expire_is_written_as_before(shop: Shop):
    message = message_for(shop.add, Call((1,)), 0)

    assert b"begin_by" not in message.encoded()
    assert Message.decoded(replace(message, begin_by_ms=5).encoded()).begin_by_ms == 5


def test_newer_arguments_of_held_work_stay_held(shop: Shop):
    task: AnyTask = shop.tasks.task(name="shop.newest", once=Once(key=["a"], on_duplicate="replace"))(lambda a, b: b)
    first = task.send_with_options((1, 1), delay=100)
    again = task.send(1, 2)
    record = shop.store.read(first.key)

    assert again.decision is Decision.REPLACED
    assert record.is_held
    assert record.until_ms == shop.clock.now_ms() + 100_000
    assert Message.decoded(record.message).args == (1, 2)
    assert shop.taken == []
