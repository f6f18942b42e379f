"""Priorities of Dramatiq's Redis broker, seen from its consumers."""

from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker

from queues.backends.dramatiq.redis_broker import GarbageProofRedisBroker

QUEUE = "letters"


@pytest.fixture
def broker(valkey_url: str, key_prefix: str) -> Iterator[GarbageProofRedisBroker]:
    made = GarbageProofRedisBroker(url=valkey_url, namespace=key_prefix, middleware=[])
    made.declare_queue(QUEUE)
    yield made
    made.client.delete(*made.client.keys(f"{key_prefix}*"))
    made.close()


def put(broker: RedisBroker, *priorities: int | None) -> None:
    """Enqueue a message a priority; its argument is its place."""
    for place, priority in enumerate(priorities):
        options = {} if priority is None else {"broker_priority": priority}
        broker.enqueue(dramatiq.Message(QUEUE, "actor", (place,), {}, options))


def places(fetched: list[Any]) -> list[int]:
    return [message.args[0] for message in fetched]


def fetch(consumer: Any, count: int) -> list[Any]:
    return [message for message in (next(consumer) for _ in range(count)) if message is not None]


def test_high_goes_first_and_low_last_each_in_the_order_of_arrival(broker):
    put(broker, 1, 5, 9, None, 7, 0, 6, 4, 8, 3)

    fetched = fetch(broker.consume(QUEUE, prefetch=10, timeout=10), 10)

    assert places(fetched) == [2, 4, 8, 1, 3, 6, 7, 0, 5, 9]


@pytest.mark.parametrize("prefetch", [1, 2, 3, 7])
def test_the_order_does_not_depend_on_how_many_are_fetched_at_once(broker, prefetch):
    put(broker, 1, 5, 9, 9, 1, 5, 9, 1)
    consumer, taken = broker.consume(QUEUE, prefetch=prefetch, timeout=10), []

    while fetched := fetch(consumer, 1):
        taken += places(fetched)
        consumer.ack(fetched[0])

    assert taken == [2, 3, 6, 1, 5, 0, 4, 7]
    assert broker.do_qsize(QUEUE) == 0


def test_what_a_stopping_worker_gives_back_keeps_its_place(broker):
    put(broker, 1, 9, 5)
    first = broker.consume(QUEUE, prefetch=3, timeout=10)
    fetched = fetch(first, 3)
    put(broker, 5, 5)

    first.requeue(fetched)
    again = fetch(broker.consume(QUEUE, prefetch=9, timeout=10), 5)

    assert [message.options["broker_priority"] for message in again] == [9, 5, 5, 5, 1]


def test_a_delayed_message_takes_its_place_when_it_is_due(broker):
    put(broker, 5)
    delayed = dramatiq.Message(QUEUE, "actor", (99,), {}, {"broker_priority": 9})
    broker.enqueue(delayed, delay=1)
    (due,) = fetch(broker.consume(f"{QUEUE}.DQ", prefetch=5, timeout=10), 1)

    broker.enqueue(due.copy(queue_name=QUEUE))

    assert places(fetch(broker.consume(QUEUE, prefetch=5, timeout=10), 2)) == [99, 0]


def test_flush_leaves_nothing_of_any_priority(broker):
    put(broker, 1, 5, 9)

    broker.flush(QUEUE)

    assert fetch(broker.consume(QUEUE, prefetch=5, timeout=10), 1) == []
    assert broker.client.keys(f"{broker.namespace}:{QUEUE}*") == []


def test_a_plain_producer_and_a_plain_consumer_of_dramatiq_use_the_middle(broker, valkey_url):
    plain = RedisBroker(url=valkey_url, namespace=broker.namespace, middleware=[])
    put(plain, 9, 1)
    put(broker, 9, 5)

    ours = fetch(broker.consume(QUEUE, prefetch=1, timeout=10), 1)
    theirs = fetch(plain.consume(QUEUE, prefetch=9, timeout=10), 3)
    plain.close()

    assert (places(ours), places(theirs)) == ([0], [0, 1, 1])


def test_what_a_dead_worker_had_fetched_is_delivered_again(broker, valkey_url):
    put(broker, 9, 1)
    fetch(broker.consume(QUEUE, prefetch=5, timeout=10), 2)
    other = GarbageProofRedisBroker(
        url=valkey_url, namespace=broker.namespace, middleware=[], maintenance_chance=1_000_000, heartbeat_timeout=-1
    )

    again = fetch(other.consume(QUEUE, prefetch=5, timeout=10), 2)
    other.close()

    assert sorted(places(again)) == [0, 1]
