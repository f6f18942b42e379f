"""Submissions, when the store or the broker is away in the middle of one."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from queues import Call, Decision, Once, Queue, State, Tasks, errors
from queues.backends.memory import MemoryBackend
from queues.handle import Access
from queues.idempotency.state import Admit, Cancel, Confirm
from queues.message import Message
from queues.producer import PIPELINE, PUBLISH_WITHIN_MS, Producer
from queues.stores.memory import AsyncMemoryStore
from queues.task import AnyTask
from tests.contract.operations import ManualClock
from tests.unit.queues.bench import Bench


class RemoteBackend(MemoryBackend):
    """A memory backend that may be out of reach, and tells what it was given."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.is_away = False
        self.taken: list[tuple[Message, int]] = []

    def publish_many(self, messages: Sequence[tuple[Message, int]]) -> None:
        if self.is_away:
            raise errors.BrokerUnavailableError("away")
        self.taken.extend(messages)


class Shop:
    """A producer over a store and a broker that may be away."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.clock, self.store, self.tasks = self.bench.clock, self.bench.store, self.bench.tasks
        self.backend = RemoteBackend(self.clock)
        async_store = AsyncMemoryStore(self.store)
        access = Access(self.store, async_store, self.clock, self.backend.pause)
        producer = Producer(self.store, async_store, self.backend, self.clock, access)
        self.queue = Queue(self.tasks, self.backend, producer, access, self.store.letters, self.bench.stopping)
        self.add = self.tasks.task(name="shop.add")(lambda a, b=1: a + b)

    @property
    def taken(self) -> list[str]:
        return [message.id for message, _ in self.backend.taken]


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_submission_is_admitted_published_and_confirmed(shop: Shop):
    handle = shop.add.send(1)

    assert handle.decision is Decision.EXECUTED
    assert shop.taken == [handle.id]
    assert shop.store.calls == [Admit, Confirm]
    assert handle.state is State.QUEUED


def test_nothing_is_published_while_the_store_is_away(shop: Shop):
    shop.store.away = {Admit}

    with pytest.raises(errors.StoreUnavailableError):
        shop.add.send(1)
    assert shop.taken == []


def test_a_submission_that_the_broker_did_not_take_is_helped_by_a_later_one(shop: Shop):
    shop.backend.is_away = True
    with pytest.raises(errors.BrokerUnavailableError):
        shop.add.send(1)
    shop.backend.is_away = False
    too_early = shop.add.send(1)
    published_early = list(shop.taken)
    shop.clock.advance(PUBLISH_WITHIN_MS)
    helping = shop.add.send(1)

    assert published_early == []
    assert shop.taken == [too_early.id]
    assert (too_early.decision, helping.decision) == (Decision.JOINED, Decision.JOINED)
    assert helping.id == too_early.id


def test_an_admission_whose_answer_was_lost_is_helped_by_a_later_one(shop: Shop):
    shop.store.answers_lost = {Admit}
    with pytest.raises(errors.StoreUnavailableError):
        shop.add.send(1)
    shop.clock.advance(PUBLISH_WITHIN_MS)
    helping = shop.add.send(1)

    assert shop.taken == [helping.id]


def test_a_confirmation_that_was_lost_costs_a_copy_that_does_not_run(shop: Shop):
    shop.store.away = {Confirm}
    with pytest.raises(errors.StoreUnavailableError):
        shop.add.send(1)
    shop.store.away = set()
    shop.clock.advance(PUBLISH_WITHIN_MS)
    shop.add.send(1)
    outcomes = [shop.bench.executor.execute(message) for message, _ in shop.backend.taken]

    assert len(shop.taken) == 2
    assert [getattr(outcome, "is_replay", None) for outcome in outcomes] == [False, True]


def test_a_message_that_this_backend_cannot_publish_is_helped_by_the_submissions_own(shop: Shop):
    shop.backend.is_away = True
    with pytest.raises(errors.BrokerUnavailableError):
        shop.add.send(1)
    shop.backend.is_away = False
    shop.backend.is_ours = lambda message: False  # type: ignore[method-assign] # as of a message with options
    shop.clock.advance(PUBLISH_WITHIN_MS)
    joined = shop.add.send(1)

    assert joined.decision is Decision.JOINED
    assert shop.taken != [joined.id]
    assert [message.digest for message, _ in shop.backend.taken] == [joined.key]


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


def test_many_are_pipelined_in_order(shop: Shop):
    handles = shop.add.send_many([(n,) for n in range(PIPELINE + 10)] + [(0,)])

    assert shop.taken == [handle.id for handle in handles[:-1]]
    assert handles[-1].id == handles[0].id


def test_no_call_of_many_is_submitted_when_one_cannot_be(shop: Shop):
    with pytest.raises(errors.InvalidArgumentsError):
        shop.add.send_many([(1,), ()])

    assert shop.taken == []
    assert shop.store.calls == []


def test_of_many_with_a_conflict_the_others_are_submitted(shop: Shop):
    shop.add.send_with_options((1,), key="order")

    with pytest.raises(errors.KeyConflictError):
        shop.add.send_many([Call((2,)), Call((3,), key="order"), Call((4,))])

    assert len(shop.taken) == 3


@pytest.mark.parametrize(
    "options", [{"delay": -1}, {"delay": 31 * 86_400}, {"priority": 10}, {"priority": -1}], ids=str
)
def test_options_out_of_range_are_refused(shop: Shop, options: dict[str, int]):
    with pytest.raises(errors.InvalidOptionError):
        shop.add.send_with_options((1,), **options)

    assert shop.taken == []


def test_a_delay_and_a_priority_go_with_the_message(shop: Shop):
    shop.add.send_with_options((1,), delay=2.5, priority=9)
    message, delay_ms = shop.backend.taken[0]

    assert (message.priority, delay_ms) == (9, 2_500)


@pytest.mark.parametrize("once", [Once(key=["a"]), Once(key=lambda a, b: a)], ids=["names", "function"])
def test_a_key_leaves_the_other_arguments_out(shop: Shop, once: Once):
    task: AnyTask = shop.tasks.task(name="shop.keyed", once=once)(lambda a, b: b)

    first, second, third = task.send(1, 2), task.send(1, 3), task.send(2, 2)

    assert first.id == second.id
    assert third.id != first.id


def test_another_version_of_a_task_is_other_work(shop: Shop):
    one: AnyTask = shop.tasks.task(name="shop.one", once=Once(version="1"))(lambda a: a)
    other = Tasks()
    two: AnyTask = other.task(name="shop.one", once=Once(version="2"))(lambda a: a)
    other.bind(shop.tasks.sender)

    assert one.send(1).key != two.send(1).key


def test_a_task_that_is_not_connected_says_so():
    task = Tasks().task(name="alone")(lambda: 1)

    with pytest.raises(errors.NotConnectedError):
        task.send()


def test_a_cancelled_submission_makes_way_for_a_new_one(shop: Shop):
    first = shop.add.send(1)
    shop.store.apply(first.key, Cancel(60_000))
    second = shop.add.send(1)

    assert second.decision is Decision.EXECUTED
    assert second.id != first.id


def test_awaited_submissions_take_the_same_steps(shop: Shop):
    async def use() -> list[Decision]:
        first = await shop.add.send_async(1)
        many = await shop.add.send_many_async([(1,), (2,)])
        return [first.decision, *(handle.decision for handle in many)]

    decisions = asyncio.run(use())

    assert decisions == [Decision.EXECUTED, Decision.JOINED, Decision.EXECUTED]
    assert len(shop.taken) == 2
