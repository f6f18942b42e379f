"""Acknowledgements of Dramatiq's Redis broker travel together, and none is forgotten."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import dramatiq
import pytest
from dramatiq.errors import ConnectionClosed

from queues.backends.dramatiq.redis_broker import GarbageProofRedisBroker
from tests.proxy import Proxy

QUEUE = "letters"


@pytest.fixture
def proxy(valkey_url: str) -> Iterator[Proxy]:
    with Proxy(urlsplit(valkey_url).port or 6379) as started:
        yield started


@pytest.fixture
def broker(proxy: Proxy, key_prefix: str) -> Iterator[GarbageProofRedisBroker]:
    url = f"redis://127.0.0.1:{proxy.port}"
    made = GarbageProofRedisBroker(url=url, namespace=key_prefix, middleware=[])
    made.declare_queue(QUEUE)
    yield made
    proxy.mend()
    made.client.delete(*made.client.keys(f"{key_prefix}*"))
    made.close()


def fetched(broker: GarbageProofRedisBroker, count: int, prefetch: int) -> tuple[Any, list[Any]]:
    for place in range(count):
        broker.enqueue(dramatiq.Message(QUEUE, "actor", (place,), {}, {}))
    consumer = broker.consume(QUEUE, prefetch=prefetch, timeout=10)
    return consumer, [next(consumer) for _ in range(min(count, prefetch))]


def unacked(broker: GarbageProofRedisBroker) -> int:
    held = f"{broker.namespace}:__acks__.{broker.broker_id}.{QUEUE}"
    assert broker.client.scard(held) <= broker.client.hlen(f"{broker.namespace}:{QUEUE}.msgs")
    return broker.client.scard(held)


def test_they_wait_for_the_next_fetch_while_there_is_more_in_hand(broker):
    consumer, messages = fetched(broker, 4, prefetch=3)

    consumer.ack(messages[0])
    consumer.ack(messages[1])
    before = unacked(broker)
    last = next(consumer)

    assert (before, unacked(broker)) == (3, 2)
    assert last.args == (3,)


def test_the_last_message_in_hand_has_all_acknowledged(broker):
    consumer, messages = fetched(broker, 3, prefetch=3)

    for message in messages:
        consumer.ack(message)

    assert unacked(broker) == 0
    assert broker.do_qsize(QUEUE) == 0


def test_a_closing_consumer_has_them_sent(broker):
    consumer, messages = fetched(broker, 3, prefetch=3)
    consumer.ack(messages[0])

    consumer.close()

    assert unacked(broker) == 2


def test_what_could_not_be_sent_is_sent_by_the_next_consumer(broker, proxy):
    consumer, messages = fetched(broker, 3, prefetch=3)
    consumer.ack(messages[0])
    proxy.cut()
    with pytest.raises(ConnectionClosed):
        consumer.close()
    proxy.mend()

    assert unacked(broker) == 3
    assert next(broker.consume(QUEUE, prefetch=1, timeout=10)) is None
    assert unacked(broker) == 2


def test_a_consumer_with_no_room_fetches_when_half_of_its_messages_have_ended(broker):
    consumer, messages = fetched(broker, 6, prefetch=4)

    nothing = next(consumer)
    consumer.ack(messages[0])
    consumer.nack(messages[1])
    more = [next(consumer), next(consumer)]

    assert nothing is None
    assert [message.args for message in more] == [(4,), (5,)]
    assert unacked(broker) == 4
