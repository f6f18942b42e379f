"""Acknowledgements of Celery's messages on Redis travel together, and none is forgotten."""

from collections import deque
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import kombu
import pytest
import redis

from queues.backends.celery.acks import TravellingAcks
from tests.integration.workers.conftest import Begin, StageOf
from tests.proxy import Proxy
from tests.servers import ValkeyServer
from tests.stage import eventually

QUEUE = "letters"


@pytest.fixture
def server(roomy_valkey: ValkeyServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(f"{roomy_valkey.url.removesuffix('/0')}/941") as client:
        client.flushdb()
        yield client


@pytest.fixture
def proxy(roomy_valkey: ValkeyServer) -> Iterator[Proxy]:
    with Proxy(urlsplit(roomy_valkey.url).port or 6379) as started:
        yield started


@pytest.fixture
def connection(proxy: Proxy, server: redis.Redis) -> Iterator[kombu.Connection]:
    with kombu.Connection(f"redis://127.0.0.1:{proxy.port}/941") as made:
        with made.SimpleQueue(QUEUE) as queue:
            for place in range(5):
                queue.put(place)
        yield made


def opened(connection: kombu.Connection, ended: deque[str] | None = None) -> Any:
    channel = connection.channel()
    channel._qos = TravellingAcks(channel, deque() if ended is None else ended)
    return channel


def take(channel: Any, count: int) -> list[Any]:
    return [channel.basic_get(QUEUE) for _ in range(count)]


def unacked(server: redis.Redis) -> int:
    assert server.hlen("unacked") == server.zcard("unacked_index")
    return server.hlen("unacked")


def test_they_wait_for_the_next_message_while_there_is_more_in_hand(connection, server):
    channel = opened(connection)
    taken = take(channel, 3)

    channel.basic_ack(taken[0].delivery_tag)
    channel.basic_ack(taken[1].delivery_tag)
    before = unacked(server)
    take(channel, 1)

    assert (before, unacked(server)) == (3, 2)


def test_the_last_message_in_hand_has_all_acknowledged(connection, server):
    channel = opened(connection)

    for message in take(channel, 3):
        channel.basic_ack(message.delivery_tag)

    assert unacked(server) == 0


def test_a_closing_channel_has_them_sent_and_gives_the_rest_back(connection, server):
    channel = opened(connection)
    taken = take(channel, 3)
    channel.basic_ack(taken[0].delivery_tag)

    channel.close()

    assert unacked(server) == 0
    assert server.llen(QUEUE) == 4


def test_a_connection_that_was_collected_first_closes_and_its_messages_stay_to_be_given_back(connection, proxy, server):
    ended: deque[str] = deque()
    channel = opened(connection, ended)
    taken = take(channel, 3)
    channel.basic_ack(taken[0].delivery_tag)
    proxy.cut()
    # As Celery's worker and kombu do after a connection was lost while its channel read from it.
    channel._disconnect_pools()
    connection._do_close_transport()

    channel.close()
    proxy.mend()

    assert unacked(server) == 3
    assert [*ended] == [taken[0].delivery_tag]
    assert not channel.qos._delivered


def test_what_ends_after_a_channel_was_closed_that_took_nothing_is_left_to_the_next_channel(connection, server):
    ended: deque[str] = deque()
    (taken,) = take(opened(connection), 1)
    idle = opened(connection, ended)
    acks = idle.qos
    idle.close()
    ended.append(taken.delivery_tag)

    acks.send()
    before = [*ended]
    opened(connection, ended).qos.send()

    assert before == [taken.delivery_tag]
    assert unacked(server) == 0


def test_what_could_not_be_sent_is_sent_by_the_next_channel(connection, proxy, server):
    ended: deque[str] = deque()
    channel = opened(connection, ended)
    taken = take(channel, 2)
    channel.basic_ack(taken[0].delivery_tag)
    proxy.cut()
    with pytest.raises(redis.exceptions.ConnectionError):
        channel.qos.send()
    proxy.mend()

    assert unacked(server) == 2
    take(opened(connection, ended), 1)
    assert unacked(server) == 2  # the one that was in hand, and the new one


def test_a_worker_acknowledges_what_has_ended_while_another_task_goes_on(stage_of: StageOf, begin: Begin, name: str):
    stage = stage_of("celery")
    slow = stage.program.steps.send(f"{name}-slow", 1_000, 0.1)
    begin(stage, "celery")
    eventually(lambda: stage.effects(f"{name}-slow"), within_s=60)

    quick = stage.program.echo.send(f"{name}-quick", 1)
    quick.result(timeout=60)

    eventually(lambda: stage.ledger.hlen("unacked") == 1, within_s=60)
    assert not slow.status().is_final
