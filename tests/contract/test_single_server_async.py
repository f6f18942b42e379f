"""The connection that an event loop's calls share: each gets its own reply, whatever happens to the others."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis.exceptions

from queues.stores.connection import connected, connected_async
from queues.stores.single_server_async import AsyncSingleServer
from tests.servers import ValkeyServer

ECHO = "return ARGV[1]"
SLOW_ECHO = "for i = 1, 30000000 do end return ARGV[1]"
Scenario = Callable[[AsyncSingleServer], Awaitable[Any]]


def play(url: str, scenario: Scenario) -> Any:
    async def main() -> Any:
        async with connected_async(url) as client:
            return await scenario(client)

    return asyncio.run(main())


async def echo(client: AsyncSingleServer, text: object, script: str = ECHO) -> Any:
    return await client.execute_command("EVALSHA", await client.script_load(script), 0, text)


def test_calls_that_are_made_at_once_get_their_own_replies(valkey_url):
    texts = [f"text {number}".encode() for number in range(500)]

    async def scenario(client: AsyncSingleServer) -> list[bytes]:
        sha = await client.script_load(ECHO)
        return await asyncio.gather(*(client.execute_command("EVALSHA", sha, 0, text) for text in texts))

    assert play(valkey_url, scenario) == texts


def test_calls_that_are_made_at_once_go_over_one_connection(valkey_url):
    async def scenario(client: AsyncSingleServer) -> Any:
        sha = await client.script_load(ECHO)
        await asyncio.gather(*(client.execute_command("EVALSHA", sha, 0, n) for n in range(100)))
        return await client.execute_command("CLIENT LIST")

    name = f"{valkey_url}?client_name=shared-line"
    assert [each["name"] for each in play(name, scenario)].count("shared-line") == 2  # and that of the other commands


def test_a_call_that_is_cancelled_leaves_its_reply_to_nobody(valkey_url):
    async def scenario(client: AsyncSingleServer) -> list[bytes]:
        sha = await client.script_load(ECHO)
        slow = asyncio.create_task(echo(client, "late", SLOW_ECHO))
        others = [asyncio.create_task(client.execute_command("EVALSHA", sha, 0, n)) for n in range(5)]
        await asyncio.sleep(0.01)
        slow.cancel()
        others[2].cancel()
        told = await asyncio.gather(*others, return_exceptions=True)
        return [reply for reply in told if isinstance(reply, bytes)] + [await echo(client, "after")]

    assert play(valkey_url, scenario) == [b"0", b"1", b"3", b"4", b"after"]


def test_an_error_reaches_the_call_that_it_is_about(valkey_url):
    async def scenario(client: AsyncSingleServer) -> list[Any]:
        sha = await client.script_load(ECHO)
        shas = (sha, "0" * 40, sha)
        calls = (client.execute_command("EVALSHA", each, 0, n) for n, each in enumerate(shas))
        return await asyncio.gather(*calls, return_exceptions=True)

    first, error, last = play(valkey_url, scenario)

    assert (first, type(error), last) == (b"0", redis.exceptions.NoScriptError, b"2")


def test_a_connection_that_the_server_closed_is_made_again(valkey_url):
    async def scenario(client: AsyncSingleServer) -> list[bytes]:
        await echo(client, "before")
        with connected(valkey_url) as other:
            other.client_kill_filter(_type="normal", skipme=True)
        return [await echo(client, n) for n in range(10)]

    assert play(valkey_url, scenario) == [str(n).encode() for n in range(10)]


def test_a_server_that_is_silent_is_asked_once_more_and_then_told_of(tmp_path):
    async def scenario(client: AsyncSingleServer) -> Any:
        sha = await client.script_load(ECHO)
        await client.execute_command("EVALSHA", sha, 0, "before")
        with server.paused():
            told = await asyncio.gather(
                *(client.execute_command("EVALSHA", sha, 0, n) for n in range(3)), return_exceptions=True
            )
        return told, await client.execute_command("EVALSHA", sha, 0, "after")

    with ValkeyServer(tmp_path, fsync=None) as server:
        told, after = play(f"{server.url}?socket_timeout=0.2&socket_connect_timeout=0.2", scenario)

    assert after == b"after"
    assert all(isinstance(each, (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)) for each in told)


def test_a_server_that_is_gone_fails_all_who_ask_and_is_found_again(tmp_path):
    async def scenario(client: AsyncSingleServer) -> Any:
        sha = await client.script_load(ECHO)
        await client.execute_command("EVALSHA", sha, 0, "before")
        await asyncio.to_thread(server.stop)
        gone = await asyncio.gather(
            *(client.execute_command("EVALSHA", sha, 0, n) for n in range(3)), return_exceptions=True
        )
        await asyncio.to_thread(server.start)
        return gone, await echo(client, "after")

    with ValkeyServer(tmp_path, fsync=None) as server:
        gone, after = play(server.url, scenario)

    assert after == b"after"
    assert all(isinstance(each, redis.exceptions.ConnectionError) for each in gone)


def test_a_url_that_allows_one_connection_is_heeded(valkey_url):
    async def scenario(client: AsyncSingleServer) -> list[Any]:
        return [await echo(client, "first"), await client.ping(), await echo(client, "last")]

    assert play(f"{valkey_url}?max_connections=1", scenario) == [b"first", True, b"last"]


@pytest.mark.parametrize("text", ["", "ä€😀", "a\r\nb", "x" * 1_000_000, 7, b"\xff\x00"])
def test_every_kind_of_argument_arrives_as_it_is(valkey_url, text):
    expected = text if isinstance(text, bytes) else str(text).encode()

    assert play(valkey_url, lambda client: echo(client, text)) == expected
