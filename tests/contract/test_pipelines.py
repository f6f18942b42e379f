"""Batches that are sent before the answers to those before them have come: each gets its own answers."""

import secrets
import signal
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import redis.exceptions

from queues.errors import StoreUnavailableError
from queues.idempotency.state import Kind
from queues.stores.connection import connected
from queues.stores.redis import RedisStore
from queues.stores.single_server import SingleServer
from queues.stores.single_server_flow import Flow
from tests.contract.operations import admit, begin
from tests.contract.test_single_server import ECHO, SLOW_ECHO, Interruption, echo, interrupted_by
from tests.servers import ValkeyServer


@pytest.fixture
def client(valkey_url: str) -> Iterator[SingleServer]:
    made = connected(valkey_url)
    assert isinstance(made, SingleServer)
    yield made
    made.close()


def echoes(client: SingleServer, *texts: str, script: str = ECHO) -> list[tuple[str | int, ...]]:
    sha = client.script_load(script)
    return [("EVALSHA", sha, 0, text) for text in texts]


def connections(client: SingleServer) -> int:
    return int(client.info("clients")["connected_clients"])


def test_each_batch_gets_its_own_answers(store):
    digests = [secrets.token_hex(20) for _ in range(3)]
    with closing(store.pipeline()) as pipeline:
        pipeline.send([(digests[0], admit("m1")), (digests[1], admit("m2"))])
        pipeline.send([(digests[0], admit("m3"))])
        first = pipeline.receive()
        pipeline.send([(digests[2], admit("m4")), (digests[1], begin("m2"))])
        second, third = pipeline.receive(), pipeline.receive()

    told = [[(answer.kind, answer.owner) for answer in answers] for answers in (first, second, third)]
    assert told == [
        [(Kind.ADMITTED, "m1"), (Kind.ADMITTED, "m2")],
        [(Kind.INFLIGHT, "m1")],
        [(Kind.ADMITTED, "m4"), (Kind.RUN, "m2")],
    ]


def test_a_server_that_lost_its_scripts_between_batches_answers_all(valkey, redis_store):
    digests = [secrets.token_hex(20) for _ in range(3)]
    with closing(redis_store.pipeline()) as pipeline:
        pipeline.send([(digests[0], admit())])
        valkey.script_flush()
        pipeline.send([(digests[1], admit())])
        pipeline.send([(digests[2], admit())])
        answers = [*pipeline.receive(), *pipeline.receive(), *pipeline.receive()]

    assert [answer.kind for answer in answers] == [Kind.ADMITTED] * 3


def test_a_server_that_goes_is_told_and_the_store_goes_on_when_it_is_back(tmp_path):
    with ValkeyServer(tmp_path, fsync="always") as server:
        store = RedisStore(f"{server.url}?socket_timeout=0.3")
        digests = [secrets.token_hex(20) for _ in range(3)]
        with closing(store.pipeline()) as pipeline:
            pipeline.send([(digests[0], admit())])
            server.kill()
            pipeline.send([(digests[1], admit())])
            with pytest.raises(StoreUnavailableError):
                pipeline.receive()
        server.start()
        kinds = [store.apply(digest, admit()).kind for digest in digests]

    assert kinds == [Kind.ADMITTED] * 3


def test_a_connection_that_breaks_between_batches_costs_no_answer(client, valkey):
    echo(client, "before")
    with closing(Flow(client)) as flow:
        flow.send(echoes(client, "a", "b"))
        told = [flow.receive()]
        flow.send(echoes(client, "c"))
        valkey.client_kill_filter(_type="normal", skipme=True)
        flow.send(echoes(client, "d", "e"))
        told += [flow.receive(), flow.receive()]
        flow.send(echoes(client, "f"))
        told.append(flow.receive())

    assert told == [[b"a", b"b"], [b"c"], [b"d", b"e"], [b"f"]]
    assert echo(client, "after") == b"after"


def test_an_error_stands_in_the_place_of_its_reply(client):
    with closing(Flow(client)) as flow:
        flow.send([*echoes(client, "a"), ("EVALSHA", "0" * 40, 0), *echoes(client, "b")])
        replies = flow.receive()

    assert (replies[0], type(replies[1]), replies[2]) == (b"a", redis.exceptions.NoScriptError, b"b")


def test_a_connection_with_unread_replies_meets_nobody(client):
    echo(client, "before")
    with closing(Flow(client)) as flow:
        flow.send(echoes(client, "late", "later"))
        flow.send(echoes(client, "last"))
        flow.receive()

    assert [echo(client, text) for text in ("x", "y", "z")] == [b"x", b"y", b"z"]


@pytest.mark.parametrize("step", ["send", "receive"])
def test_an_interrupted_batch_meets_nobody(client, step):
    def interrupt(*_: object) -> None:
        raise Interruption

    slow = echoes(client, "late", script=SLOW_ECHO)
    long = echoes(client, *["x" * 1_000_000] * 30)

    def converse() -> None:
        with closing(Flow(client)) as flow:
            flow.send(slow)
            with interrupted_by(interrupt):
                # A server that is busy takes only what the system keeps for it.
                flow.send(long) if step == "send" else flow.receive()

    with pytest.raises(Interruption):
        converse()

    assert [echo(client, text) for text in ("x", "y")] == [b"x", b"y"]


def test_a_connection_is_used_again_and_given_back(client, valkey):
    echo(client, "before")
    before = connections(valkey)
    told: list[Any] = []
    for number in range(5):
        with closing(Flow(client)) as flow:
            flow.send(echoes(client, str(number)))
            told += flow.receive()

    assert told == [b"0", b"1", b"2", b"3", b"4"]
    # Beside the one kept aside, redis-py's pool has one that loaded the script.
    assert connections(valkey) <= before + 1


def test_a_look_at_the_connections_health_takes_no_reply(valkey_url):
    with connected(f"{valkey_url}?health_check_interval=1") as client:
        commands = echoes(client, "a")
        with closing(Flow(client)) as flow:
            flow.send(commands)
            flow._connection.next_health_check = 0.0  # as when the last look was long ago
            flow.send(echoes(client, "b"))
            replies = [flow.receive(), flow.receive()]

    assert replies == [[b"a"], [b"b"]]


def test_no_flow_keeps_a_signals_handler_from_its_own_reply(client):
    told: list[Any] = []
    with closing(Flow(client)) as flow:
        flow.send(echoes(client, "outer", script=SLOW_ECHO))
        with interrupted_by(lambda *_: told.append(echo(client, "inner"))):
            outer = flow.receive()

    assert (outer, told) == ([b"outer"], [b"inner"])
    assert signal.getsignal(signal.SIGALRM) is not None
