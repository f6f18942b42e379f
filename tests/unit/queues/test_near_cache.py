"""A repetition of completed work that is answered without the store: for how long, and of what."""

import asyncio
from typing import Any

import pytest

from queues import Decision, Once, errors
from queues.backends.memory import MemoryBackend
from queues.handle import Access
from queues.idempotency.state import Admit, Look
from queues.message import Message
from queues.near_cache import NearCache
from queues.producer import Producer
from queues.stores.memory import AsyncMemoryStore
from tests.contract.operations import ManualClock
from tests.unit.queues.bench import Bench

NEAR_S = 5.0


class Shop:
    """A producer of tasks whose results are kept near, over a store that counts what it is asked."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.clock, self.store = self.bench.clock, self.bench.store
        backend, async_store = MemoryBackend(self.clock), AsyncMemoryStore(self.store)
        access = Access(self.store, async_store, self.clock, backend.pause)
        self.bench.tasks.bind(Producer(self.store, async_store, backend, self.clock, access))
        self.ran: list[int] = []
        self.double = self.bench.task(self._double, once=Once(near_cache=NEAR_S), max_retries=0)

    def _double(self, number: int) -> list[int]:
        self.ran.append(number)
        if number < 0:
            raise ValueError(number)
        return [2 * number]

    def run(self, number: int) -> None:
        self.bench.executor.execute(self.bench.admitted(self.double, number))

    @property
    def questions(self) -> int:
        return sum(kind in (Admit, Look) for kind in self.store.calls)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_repetition_is_answered_without_the_store(shop: Shop):
    shop.run(1)
    first = shop.double.send(1)
    before = shop.questions
    again = [shop.double.send(1), asyncio.run(shop.double.send_async(1))]

    assert shop.questions == before
    assert [(handle.id, handle.decision, handle.result()) for handle in again] == [
        (first.id, Decision.REPLAYED, [2]),
        (first.id, Decision.REPLAYED, [2]),
    ]
    assert again[0].result() is not again[1].result()


def test_the_store_is_asked_again_when_the_time_is_over(shop: Shop):
    shop.run(1)
    shop.double.send(1)
    shop.clock.advance(round(NEAR_S * 1000))
    before = shop.questions
    shop.double.send(1)

    assert shop.questions == before + 1


def test_a_task_that_does_not_ask_for_it_always_asks_the_store(shop: Shop):
    plain = shop.bench.task(abs)
    shop.bench.executor.execute(shop.bench.admitted(plain, 1))
    before = shop.questions
    plain.send(1)
    plain.send(1)

    assert shop.questions == before + 2


def test_what_is_queued_or_has_failed_is_not_kept_near(shop: Shop):
    shop.double.send(1)
    shop.run(-1)
    before = shop.questions
    decisions = [shop.double.send(1).decision, shop.double.send(1).decision, shop.double.send(-1).decision]

    assert decisions == [Decision.JOINED, Decision.JOINED, Decision.EXECUTED]
    assert shop.questions == before + 3


def test_other_arguments_under_the_same_key_are_refused_all_the_same(shop: Shop):
    handle = shop.double.send_with_options((1,), key="k")
    record = shop.store.read(handle.key)
    assert record is not None
    shop.bench.executor.execute(Message.decoded(record.message))
    shop.double.send_with_options((1,), key="k")

    with pytest.raises(errors.KeyConflictError):
        shop.double.send_with_options((2,), key="k")
    assert shop.double.send_with_options((1,), key="k").result() == [2]


@pytest.mark.parametrize("policy", [{"on_duplicate": "replace"}, {"on_duplicate": "debounce", "quiet": 1.0}])
def test_a_policy_by_which_other_arguments_take_a_results_place_has_none(policy: dict[str, Any]):
    with pytest.raises(errors.InvalidOptionError, match="near_cache=5: not with on_duplicate="):
        Once(near_cache=5, **policy)


@pytest.mark.parametrize("near_cache", [-1, 61])
def test_a_time_that_makes_no_sense_is_refused(near_cache: float):
    with pytest.raises(errors.InvalidOptionError, match="near_cache"):
        Once(ttl=60, near_cache=near_cache)


def test_the_oldest_make_room_for_the_newest():
    cache = NearCache(ManualClock(), most_entries=3, most_bytes=10)

    for number in range(4):
        cache.put(f"d{number}", "", "owner", b"xx", 1_000)
    by_count = [cache.get(f"d{number}", "") is not None for number in range(4)]
    cache.put("large", "", "owner", b"x" * 8, 1_000)
    by_bytes = [cache.get(name, "") is not None for name in ("d1", "d2", "d3", "large")]
    cache.put("d5", "", "owner", b"x" * 100_000, 1_000)

    assert by_count == [False, True, True, True]
    assert by_bytes == [False, False, True, True]
    assert cache.get("d5", "") is None
