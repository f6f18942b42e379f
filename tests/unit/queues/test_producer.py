"""Submissions, when the store or the broker is away in the middle of one."""

import asyncio
import gc
from collections.abc import Sequence

import pytest

from queues import Call, Decision, Once, Queue, State, Tasks, errors
from queues.backends.memory import MemoryBackend
from queues.handle import Access
from queues.idempotency import envelope
from queues.idempotency.state import Admit, Answer, Cancel, Confirm, Operation
from queues.message import Message
from queues.once import OnDuplicate
from queues.producer import BATCH, BATCH_BYTES, Producer
from queues.stores.memory import AsyncMemoryStore
from queues.submission import MAX_MESSAGE_BYTES, PUBLISH_WITHIN_MS, Submission
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


@pytest.mark.parametrize("on_duplicate", ["join", "skip", "reject"])
@pytest.mark.parametrize("ends", [False, True])
def test_an_admission_that_was_sent_twice_is_no_duplicate_of_itself(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, on_duplicate: OnDuplicate, ends: bool
):
    add = shop.tasks.task(name="shop.again", once=Once(on_duplicate=on_duplicate))(lambda: 3)
    apply = shop.store.apply

    def apply_again(digest: str, operation: Operation) -> Answer:
        """As a client of Redis does whose connection broke before the reply came; a worker was quick meanwhile."""
        answer = apply(digest, operation)
        if not isinstance(operation, Admit):
            return answer
        monkeypatch.setattr(shop.store, "apply", apply)
        _, run = shop.bench.guard.begin(Message.decoded(operation.message), add.policy)
        if run is not None and ends:
            shop.bench.guard.complete(run, add.policy, envelope.of_value(3, 1_000))
        return apply(digest, operation)

    monkeypatch.setattr(shop.store, "apply", apply_again)

    handle = add.send()

    assert handle.decision is Decision.EXECUTED
    assert handle.state is (State.COMPLETED if ends else State.RUNNING)
    assert not ends or handle.result() == 3


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


def test_many_are_pipelined_in_order(shop: Shop):
    handles = shop.add.send_many([(n,) for n in range(BATCH + 10)] + [(0,)])

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


def test_many_are_told_apart_where_the_store_goes_away_between_them(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    told: list[tuple[str, bool]] = []
    observer = shop.tasks.sender._observer  # type: ignore[attr-defined] # a producer's
    monkeypatch.setattr(observer, "sent", lambda message, *_: told.append((message.id, True)))
    monkeypatch.setattr(observer, "unsent", lambda message, *_: told.append((message.id, False)))
    apply_many, batches = shop.store.apply_many, []

    def goes_away(requests: Sequence[tuple[str, Operation]]) -> list[Answer]:
        batches.append(len(requests))
        if len(batches) > 2:  # an admission and its confirmation
            raise errors.StoreUnavailableError("away")
        return apply_many(requests)

    monkeypatch.setattr(shop.store, "apply_many", goes_away)
    with pytest.raises(errors.StoreUnavailableError):
        shop.add.send_many([(n,) for n in range(3 * BATCH)])

    assert [is_sent for _, is_sent in told] == [True] * BATCH + [False] * 2 * BATCH
    assert len({message_id for message_id, _ in told}) == 3 * BATCH


def test_a_conflict_in_one_batch_keeps_no_other_from_being_submitted(shop: Shop):
    shop.add.send_with_options((1,), key="order")

    with pytest.raises(errors.KeyConflictError):
        shop.add.send_many([Call((3,), key="order"), *(Call((n,)) for n in range(2 * BATCH))])

    assert len(shop.taken) == 1 + 2 * BATCH


def test_no_call_of_many_is_submitted_when_the_last_is_too_long(shop: Shop):
    with pytest.raises(errors.PayloadTooLargeError):
        shop.add.send_many([*((n,) for n in range(2 * BATCH)), ("x" * MAX_MESSAGE_BYTES,)])

    assert shop.store.calls == []


def test_long_messages_go_in_more_batches(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    apply_many, batches = shop.store.apply_many, []
    monkeypatch.setattr(shop.store, "apply_many", lambda asked: batches.append(len(asked)) or apply_many(asked))

    shop.add.send_many([(n, "x" * (BATCH_BYTES // 4)) for n in range(8)])

    assert batches == [4, 4, 4, 4]  # each admitted and then confirmed


def test_what_a_task_does_to_its_keyword_arguments_meets_no_other_message(shop: Shop):
    def adds(**names: int) -> int:
        names["added"] = len(names)
        return len(names)

    shop.tasks.task(name="shop.adds", once=None)(adds)
    handles = shop.tasks.get("shop.adds").send_many([(), ()])
    outcomes = [shop.bench.executor.execute(message) for message, _ in shop.backend.taken]

    assert [getattr(outcome, "value", None) for outcome in outcomes] == [1, 1]
    assert len({handle.id for handle in handles}) == 2
    assert shop.tasks.get("shop.adds").send_many([()])[0].decision is Decision.EXECUTED
    assert [dict(message.kwargs) for message, _ in shop.backend.taken] == [{}] * 3


def test_calls_are_taken_from_an_iterator(shop: Shop):
    handles = shop.add.send_many((n,) for n in range(BATCH + 1))

    assert shop.taken == [handle.id for handle in handles]


def test_little_outlives_a_submission_of_many(shop: Shop):
    shop.add.send_many([(n,) for n in range(-10, 0)])
    gc.collect()
    gc.disable()
    try:
        handles = [handle for handle in shop.add.send_many([(n,) for n in range(BATCH)]) if handle]
        # The memory store and its queue keep theirs; of the calls, only the handles are left.
        left = sum(type(each) in (Call, Submission) for each in gc.get_objects())
    finally:
        gc.enable()

    assert (len(handles), left) == (BATCH, 0)
