"""The short way to one server: every call gets its own reply, whatever happened to the one before."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import redis.exceptions

from queues.priority import Priority
from queues.stores.connection import connected
from queues.stores.single_server import KEPT, SingleServer
from tests.forks import told_by_child

ECHO = "return ARGV[1]"
SLOW_ECHO = "for i = 1, 30000000 do end return ARGV[1]"


class Interruption(BaseException):
    """Comes from outside, as the end of a task's time does."""


@pytest.fixture
def client(valkey_url: str) -> Iterator[SingleServer]:
    made = connected(valkey_url)
    assert isinstance(made, SingleServer)
    yield made
    made.close()


def echo(client: SingleServer, text: str, script: str = ECHO) -> Any:
    return client.execute_command("EVALSHA", client.script_load(script), 0, text)


@contextmanager
def interrupted_by(handler: Callable[..., object]) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_call_after_an_interrupted_one_gets_its_own_reply(client):
    def interrupt(*_: object) -> None:
        raise Interruption

    echo(client, "before")
    with pytest.raises(Interruption), interrupted_by(interrupt):
        echo(client, "late", SLOW_ECHO)

    assert echo(client, "after") == b"after"


def test_a_call_from_a_signals_handler_gets_its_own_reply(client):
    told: list[Any] = []
    echo(client, "before")
    with interrupted_by(lambda *_: told.append(echo(client, "inner"))):
        outer = echo(client, "outer", SLOW_ECHO)

    assert (outer, told) == (b"outer", [b"inner"])


def test_more_threads_than_kept_connections_get_their_own_replies(client):
    texts = [f"text {number}".encode() for number in range(20 * KEPT)]
    with ThreadPoolExecutor(4 * KEPT) as pool:
        told = list(pool.map(lambda text: echo(client, text), texts))

    assert told == texts


def test_a_connection_that_the_server_closed_is_made_again(client, valkey_url):
    echo(client, "before")
    with connected(valkey_url) as other:
        other.client_kill_filter(_type="normal", skipme=True)

    assert echo(client, "after") == b"after"


def test_an_error_is_told_in_the_place_of_its_reply_and_the_next_call_is_answered(client):
    sha = client.script_load(ECHO)
    replies = client.replies([("EVALSHA", sha, 0, "a"), ("EVALSHA", "0" * 40, 0), ("EVALSHA", sha, 0, "b")])
    with pytest.raises(redis.exceptions.NoScriptError):
        client.execute_command("EVALSHA", "0" * 40, 0)

    assert (replies[0], type(replies[1]), replies[2]) == (b"a", redis.exceptions.NoScriptError, b"b")
    assert echo(client, "after") == b"after"


def test_a_url_that_allows_one_connection_is_heeded(valkey_url):
    with connected(f"{valkey_url}?max_connections=1") as client:
        told = [echo(client, "first"), client.ping(), *client.pipeline().echo("x").execute(), echo(client, "last")]

    assert told == [b"first", True, b"x", b"last"]


@pytest.mark.parametrize("has_hiredis", [True, False])
@pytest.mark.parametrize("text", ["", "ä€😀", "a\r\nb", "x" * 1_000_000, 7, Priority.HIGH, b"\xff\x00"])
def test_every_kind_of_argument_arrives_as_it_is(client, monkeypatch, has_hiredis, text):
    if not has_hiredis:
        monkeypatch.setattr("queues.stores.single_server.pack_command", None)
    expected = text if isinstance(text, bytes) else str(text).encode()

    assert echo(client, text) == expected


def test_a_child_of_a_fork_takes_no_connection_of_its_parents(client):
    def place() -> bytes:
        """Where the connection that the last call left aside ends on this side."""
        assert echo(client, "mine") == b"mine"
        return repr(client._aside[-1]._sock.getsockname()).encode()

    ours = place()
    theirs = told_by_child(place)

    assert theirs
    assert theirs != ours == place()
