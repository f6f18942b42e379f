"""What a worker has fetched from Redis is given back when the worker says nothing more, and only then."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import dramatiq
import pytest
import redis
from celery import Celery
from dramatiq.brokers.redis import RedisBroker

from queues import Once, Tasks, connect
from queues.backends.celery.fetched import FetchedFromRedis as FetchedByCelery
from queues.backends.dramatiq.fetched import FetchedFromRedis as FetchedByDramatiq
from tests.servers import ValkeyServer

SILENT_MS = 5_000
INDEX = "unacked_index"


@pytest.fixture
def url(roomy_valkey: ValkeyServer) -> str:
    return f"{roomy_valkey.url.removesuffix('/0')}/940"


@pytest.fixture
def server(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield client


@pytest.fixture
def channel(url: str, server: redis.Redis) -> Iterator[Any]:
    """A channel of a Celery worker that has fetched a guarded message and one of a program that guards nothing."""
    tasks = Tasks(namespace="held")
    guarded = tasks.task(queue="held", once=Once(lease=2))(give)
    queue = connect(tasks, backend="celery", redis_url=url, broker_url=url)
    guarded.send(1)
    with Celery(broker=url, set_as_current=False) as plain:
        plain.send_task("held.give", (2,), queue="held")
    connection = queue.backend.app.connection_for_read()
    channel = connection.channel()
    channel.worker = FetchedByCelery(worker_of(channel), tasks)
    fetched = [channel.basic_get("held") for _ in range(2)]
    # The plain one is of a higher priority, and comes first.
    channel.plain, channel.guarded = sorted(fetched, key=lambda message: "onceq" in message.headers)
    yield channel
    connection.close()
    queue.close()


def give(value: int) -> int:
    return value


def worker_of(channel: Any) -> Any:
    return SimpleNamespace(consumer=SimpleNamespace(task_consumer=SimpleNamespace(channel=channel)))


def grow_old(server: redis.Redis, by_s: float) -> None:
    for tag, score in server.zrange(INDEX, 0, -1, withscores=True):
        server.zadd(INDEX, {tag: score - by_s})


def test_what_celerys_worker_holds_and_says_nothing_of_is_given_back(channel: Any, server: redis.Redis):
    early = channel.worker.give_back(SILENT_MS)
    grow_old(server, 6)
    given_back = channel.worker.give_back(SILENT_MS)
    again = channel.worker.give_back(SILENT_MS)

    assert (early, given_back, again) == (0, 1, 0)
    assert sum(server.llen(key) for key in server.keys("held*")) == 1


def test_what_a_worker_whose_clock_was_fast_fetched_is_given_back_as_soon(channel: Any, server: redis.Redis):
    grow_old(server, -3600)
    plain = server.zscore(INDEX, channel.plain.delivery_tag)
    early = channel.worker.give_back(SILENT_MS)
    after = server.zscore(INDEX, channel.plain.delivery_tag)
    grow_old(server, 6)
    given_back = channel.worker.give_back(SILENT_MS)

    assert (early, given_back) == (0, 1)
    assert after == plain  # Celery's own business


def test_only_what_celerys_worker_still_holds_is_renewed(channel: Any, server: redis.Redis):
    grow_old(server, 3600)
    channel.worker.keep()
    after_keeping = channel.worker.give_back(SILENT_MS)
    server.zrem(INDEX, channel.guarded.delivery_tag)  # acknowledged by the worker's own thread
    channel.worker.keep()

    assert after_keeping == 0
    assert [tag.decode() for tag in server.zrange(INDEX, 0, -1)] == [channel.plain.delivery_tag]


def test_the_message_of_a_task_that_is_not_guarded_keeps_celerys_own_timeout(channel: Any, server: redis.Redis):
    before = server.zscore(INDEX, channel.plain.delivery_tag)
    channel.worker.keep()
    after = server.zscore(INDEX, channel.plain.delivery_tag)
    grow_old(server, 600)
    channel.worker.give_back(SILENT_MS)

    assert before == after
    assert server.hkeys("unacked") == [channel.plain.delivery_tag.encode()]


@pytest.mark.parametrize("entry", [b"", b"null", b"[]", b"{", b'[{"headers": 5}]', b'[{"headers": {"onceq": 1}}]'])
def test_an_unreadable_entry_stays_where_it_is(channel: Any, server: redis.Redis, entry: bytes):
    server.hset("unacked", "odd", entry)
    server.zadd(INDEX, {"odd": 1.0})

    assert channel.worker.give_back(SILENT_MS) == 0
    assert server.hget("unacked", "odd") == entry


def test_a_worker_whose_connection_was_collected_holds_nothing(channel: Any, server: redis.Redis):
    channel._disconnect_pools()
    channel.connection.client = None  # as kombu does before it closes the channels of a lost connection

    channel.worker.keep()

    assert channel.worker.give_back(SILENT_MS) == 0


def test_a_worker_that_is_not_connected_holds_nothing():
    fetched = FetchedByCelery(SimpleNamespace(consumer=None), Tasks(namespace="held"))

    fetched.keep()
    assert fetched.give_back(SILENT_MS) == 0


def test_what_dramatiqs_worker_had_fetched_when_it_fell_silent_is_given_back(url: str, server: redis.Redis):
    silent, living = RedisBroker(url=url), RedisBroker(url=url)
    for broker in (silent, living):
        broker.declare_queue("held")
    silent.enqueue(dramatiq.Message("held", "give", (1,), {}, {}))
    fetched = next(iter(silent.consume("held", prefetch=2)))
    FetchedByDramatiq(living).give_back(SILENT_MS)
    while_it_lives = server.llen("dramatiq:held")
    server.zadd("dramatiq:__heartbeats__", {silent.broker_id: 1})
    FetchedByDramatiq(living).give_back(SILENT_MS)

    assert fetched is not None
    assert (while_it_lives, server.llen("dramatiq:held")) == (0, 1)
    for broker in (silent, living):
        broker.close()
        broker.client.close()
