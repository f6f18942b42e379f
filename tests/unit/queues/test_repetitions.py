"""What a process has met is asked for by a look; what a look does not answer takes the whole way."""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from queues import Decision, Observer, Once, State, errors
from queues.backends.memory import MemoryBackend
from queues.handle import Access, Handle
from queues.idempotency.state import Admit, Cancel, Confirm, Look
from queues.message import Message
from queues.producer import BATCH, Producer
from queues.stores.memory import AsyncMemoryStore
from queues.submission import PUBLISH_WITHIN_MS
from queues.task import AnyTask
from tests.contract.operations import ManualClock
from tests.unit.queues.bench import LEASE_S, Bench

REPLACING = ("replace", "keep_last", "debounce")


class Told(Observer):
    """Keeps the messages that it is told of."""

    def __init__(self) -> None:
        self.carried_ids: list[str] = []
        self.told: list[tuple[Message, str]] = []

    def carried(self, message: Message) -> Mapping[str, str]:
        self.carried_ids.append(message.id)
        return {"traceparent": f"00-{message.id[:32]}-{message.id[:16]}-01"}

    def sent(self, message: Message, decision: str, owner: str) -> None:
        self.told.append((message, f"{decision} {owner}"))

    def unsent(self, message: Message, error: BaseException) -> None:
        self.told.append((message, type(error).__name__))


class Counting(MemoryBackend):
    """A memory backend that counts the submissions that came as far as it."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.whole = 0

    def publication(self, message: Message, delay_ms: int) -> None:
        self.whole += 1


class Shop:
    """A producer over a store that keeps what it was asked."""

    def __init__(self, observer: Observer | None = None) -> None:
        self.bench = Bench()
        self._names = itertools.count(1)
        self.clock, self.store = self.bench.clock, self.bench.store
        self.backend, async_store = Counting(self.clock), AsyncMemoryStore(self.store)
        access = Access(self.store, async_store, self.clock, self.backend.pause)
        self.bench.tasks.bind(Producer(self.store, async_store, self.backend, self.clock, access, observer))
        self.twice = self.task(_twice)

    def task(self, function: Callable[..., Any], **policy: Any) -> AnyTask:
        once = Once(lease=LEASE_S, **policy)
        return self.bench.tasks.task(name=f"shop.{next(self._names)}", once=once, max_retries=0)(function)

    def run(self, handle: Handle) -> None:
        record = self.store.read(handle.key)
        assert record is not None
        self.bench.executor.execute(Message.decoded(record.message))

    def asked_by(self, submit: Callable[[], Any]) -> list[type]:
        """What the store is asked meanwhile."""
        before = len(self.store.calls)
        submit()
        return list(self.store.calls[before:])


def _twice(number: int) -> int:
    if number < 0:
        raise ValueError(number)
    return 2 * number


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_repetition_is_answered_by_a_look_from_the_queue_to_the_outcome(shop: Shop):
    first, asked_first = shop.twice.send(1), [*shop.store.calls]
    asked_queued = shop.asked_by(lambda: shop.twice.send(1))
    queued = shop.twice.send(1)
    shop.run(first)
    asked_done = [shop.asked_by(lambda: shop.twice.send(1)) for _ in range(3)]
    done = shop.twice.send(1)

    assert (asked_first, asked_queued) == ([Admit, Confirm], [Look])
    assert asked_done == [[Look], [Look], [Look]]
    assert (queued.decision, done.decision) == (Decision.JOINED, Decision.REPLAYED)
    assert (queued.id, done.id, done.result()) == (first.id, first.id, 2)
    assert shop.backend.whole == 1


def test_awaited_submissions_look_too(shop: Shop):
    async def twice() -> list[Decision]:
        first = await shop.twice.send_async(1)
        joined = await shop.twice.send_async(1)
        shop.run(first)
        return [(await shop.twice.send_async(1)).decision, (await shop.twice.send_async(1)).decision, joined.decision]

    decisions = asyncio.run(twice())

    assert decisions == [Decision.REPLAYED, Decision.REPLAYED, Decision.JOINED]
    assert [kind for kind in shop.store.calls if kind in (Admit, Look)] == [Admit, Look, Look, Look]


def test_what_was_sent_with_many_is_known(shop: Shop):
    shop.twice.send_many([(n,) for n in range(BATCH + 1)])

    assert shop.asked_by(lambda: shop.twice.send(BATCH)) == [Look]


def test_a_repetition_that_was_met_only_as_one_is_known(shop: Shop):
    shop.bench.admitted(shop.twice, 1)

    assert shop.asked_by(lambda: shop.twice.send(1)) == [Admit]
    assert shop.asked_by(lambda: shop.twice.send(1)) == [Look]


def test_overdue_work_is_helped_all_the_same(shop: Shop):
    shop.store.away = {Confirm}
    with pytest.raises(errors.StoreUnavailableError):
        shop.twice.send(1)
    shop.twice.send(1)
    shop.clock.advance(PUBLISH_WITHIN_MS)

    assert shop.asked_by(lambda: shop.twice.send(1)) == [Look, Admit]
    assert shop.asked_by(lambda: shop.twice.send(1)) == [Look]


def test_work_whose_outcome_has_expired_runs_again(shop: Shop):
    first = shop.twice.send(1)
    shop.run(first)
    shop.twice.send(1)
    shop.clock.advance(shop.twice.policy.ttl_ms)
    again = shop.twice.send(1)

    assert again.decision is Decision.EXECUTED
    assert again.id != first.id


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_work_that_makes_way_runs_again(shop: Shop, end: str):
    first = shop.twice.send(-1)
    if end == "failed":
        shop.run(first)
    else:
        shop.store.apply(first.key, Cancel(60_000))
    again = shop.twice.send(-1)

    assert again.decision is Decision.EXECUTED
    assert again.id != first.id


def test_a_cached_failure_is_replayed_by_a_look(shop: Shop):
    task = shop.task(_twice, cache_failures=True)
    shop.run(task.send(-1))
    task.send(-1)
    submitted: list[Handle] = []
    asked = shop.asked_by(lambda: submitted.append(task.send(-1)))

    assert asked == [Look]
    with pytest.raises(errors.TaskFailedError):
        submitted[0].result()


def test_a_look_knows_the_policies_that_refuse_and_skip(shop: Shop):
    rejecting, skipping = shop.task(_twice, on_duplicate="reject"), shop.task(_twice, on_duplicate="skip")
    rejecting.send(1)
    first = skipping.send(1)

    with pytest.raises(errors.AlreadyRunningError):
        rejecting.send(1)
    skipped = skipping.send(1)
    assert (skipped.decision, skipped.result()["task_id"]) == (Decision.SKIPPED, first.id)
    assert shop.store.calls[-2:] == [Look, Look]


@pytest.mark.parametrize("on_duplicate", REPLACING)
def test_newer_arguments_take_the_place_of_queued_ones_although_the_key_is_known(shop: Shop, on_duplicate: Any):
    quiet = {"quiet": 1.0} if on_duplicate == "debounce" else {}
    task = shop.task(lambda a, b: b, on_duplicate=on_duplicate, key=["a"], **quiet)
    first = task.send(1, 2)
    queued = shop.asked_by(lambda: task.send(1, 3))
    shop.clock.advance(1_000)
    shop.run(first)
    done = [shop.asked_by(lambda: task.send(1, 3)) for _ in range(2)]
    newer = shop.asked_by(lambda: task.send(1, 4))
    record = shop.store.read(first.key)

    assert queued == [Admit]
    assert done == [[Admit], [Look]]
    assert newer[:2] == [Look, Admit]
    assert record is not None
    assert (record.state, b"[1,4]" in record.message) == (State.QUEUED, True)


def test_other_arguments_under_a_known_key_are_refused(shop: Shop):
    shop.twice.send_with_options((1,), key="k")

    with pytest.raises(errors.KeyConflictError):
        shop.twice.send_with_options((2,), key="k")
    assert shop.twice.send_with_options((1,), key="k").decision is Decision.JOINED


def test_work_that_replicas_must_have_is_not_looked_for(shop: Shop):
    task = shop.task(_twice, replicas=1)
    task.send(1)

    assert shop.asked_by(lambda: task.send(1)) == [Admit]


@pytest.mark.parametrize("options", [{"delay": 5.0}, {"priority": 9}, {"delay": 120.0}], ids=str)
def test_a_repetition_is_one_whatever_else_it_wishes(shop: Shop, options: dict[str, Any]):
    first = shop.twice.send(1)
    again = shop.twice.send_with_options((1,), **options)

    assert (again.id, again.decision) == (first.id, Decision.JOINED)


def test_a_repetition_with_a_time_that_makes_no_sense_is_refused(shop: Shop):
    now = datetime.fromtimestamp(shop.clock.now_ms() / 1000, UTC)
    shop.twice.send(1)

    with pytest.raises(errors.InvalidOptionError):
        shop.twice.send_with_options((1,), delay=60.0, expires=now)


def test_what_is_no_part_of_the_key_need_not_be_sendable_in_a_repetition(shop: Shop):
    task = shop.task(lambda a, b: b, key=["a"])
    with pytest.raises(errors.UnencodableError):
        task.send(1, object())
    first = task.send(1, 2)
    again = task.send(1, object())

    assert (again.id, again.decision) == (first.id, Decision.JOINED)


def test_a_task_that_runs_every_message_fills_nothing(shop: Shop):
    every: AnyTask = shop.bench.tasks.task(name="shop.every", once=None)(_twice)

    assert [shop.asked_by(lambda: every.send(1)) for _ in range(2)] == [[Admit, Confirm], [Admit, Confirm]]


def test_an_observer_is_told_of_a_repetition_as_of_any_submission():
    told = Told()
    shop = Shop(told)
    first = shop.twice.send_with_options((1,), priority=7)
    shop.twice.send_with_options((1,), priority=9)
    shop.run(first)
    asyncio.run(shop.twice.send_async(1))
    messages = [message for message, _ in told.told]

    assert [words for _, words in told.told] == [
        f"{decision} {first.id}" for decision in ("executed", "joined", "replayed")
    ]
    assert {(m.task, m.queue, m.digest, m.args) for m in messages} == {("shop.1", "default", first.key, (1,))}
    assert [message.priority for message in messages] == [7, 9, 5]
    assert [message.id for message in messages] == told.carried_ids
    assert len({message.id for message in messages}) == 3
    assert all(message.trace for message in messages)
    assert shop.backend.whole == 1


def test_an_observer_is_told_once_of_what_a_look_does_not_answer():
    told = Told()
    shop = Shop(told)
    shop.run(shop.twice.send(-1))
    shop.twice.send(-1)

    assert [message.id for message, _ in told.told] == told.carried_ids
    assert [words.split()[0] for _, words in told.told] == ["executed", "executed"]


@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "awaited"])
def test_a_store_that_does_not_answer_a_look_is_an_error(is_async: bool):
    told = Told()
    shop = Shop(told)
    shop.twice.send(1)
    shop.store.away = {Look}

    with pytest.raises(errors.StoreUnavailableError):
        _ = asyncio.run(shop.twice.send_async(1)) if is_async else shop.twice.send(1)
    assert [words for _, words in told.told][1:] == ["StoreUnavailableError"]
    assert told.told[-1][0].args == (1,)
