"""Redis as the API uses it: one client a process, and scripts whose failures have one name."""

import hashlib
import itertools
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis as Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from queues.stores.connection import closed as close
from queues.stores.connection import connected_async
from queues.stores.single_server_async import AsyncSingleServer

__all__ = ["Call", "Client", "RedisUnavailableError", "Script", "close", "connect", "new_name", "ping", "together"]

TIMEOUT_S = 3.0
MAX_CONNECTIONS = 64


class RedisUnavailableError(Exception):
    """Redis did not answer in time or could not be reached; the same call may succeed later."""


def connect(url: str) -> Client:
    """A client that answers or fails within about `TIMEOUT_S`; connects when it is first used.

    A broken connection is tried once more: after a restart of Redis every pooled connection is broken, and
    none of these scripts does harm when it runs twice.
    """
    client: Client = connected_async(
        url,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        max_connections=MAX_CONNECTIONS,
        retry=Retry(NoBackoff(), 1),
        retry_on_error=[RedisConnectionError],
    )
    return client


_PROCESS = secrets.token_hex(12)
_numbers = itertools.count()


def new_name() -> str:
    """A name that nobody else has given to anything: it need not be hard to guess."""
    return f"{_PROCESS}-{os.getpid()}-{next(_numbers)}"


Word = str | bytes | int


class Script:
    """A Lua script as an awaitable function; sent whole only when the server does not know it yet.

    Raises:
        RedisUnavailableError: when called and Redis does not answer.
    """

    def __init__(self, client: Client, source: str) -> None:
        self.client: Any = client  # redis-py has no types for what is called
        self.source = source
        # The name that the server gives it; nothing that must be kept safe.
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    def call(self, keys: Sequence[str], args: Sequence[Word]) -> "Call":
        """A call to be made later, see `together`."""
        return Call(self, (len(keys), *keys, *args))

    async def __call__(self, keys: Sequence[str], args: Sequence[Word]) -> Any:
        """What the script returns."""
        return (await together(self.call(keys, args)))[0]


@dataclass(frozen=True, slots=True)
class Call:
    """A script, and the words that go with it."""

    script: Script
    words: tuple[Word, ...]


async def together(*calls: Call) -> list[Any]:
    """What each script returns; made in this order, by one client, and on a single server in one round trip.

    Raises:
        RedisUnavailableError: Redis does not answer; some may have been made.
    """
    client = calls[0].script.client
    commands = [("EVALSHA", call.script.sha, *call.words) for call in calls]
    try:
        if isinstance(client, AsyncSingleServer):
            replies = await client.received(commands, client.sent(commands))
        else:
            replies = [await _reply(client, command) for command in commands]
        for at, reply in enumerate(replies):
            if isinstance(reply, Exception):
                replies[at] = await _known(calls[at], reply)
    except (RedisError, RedisClusterException, OSError) as exc:
        raise RedisUnavailableError(f"Redis is unavailable: {exc}") from exc
    return replies


async def _reply(client: Any, command: Sequence[Word]) -> Any:
    try:
        return await client.execute_command(*command)
    except NoScriptError as exc:
        return exc


async def _known(call: Call, error: Exception) -> Any:
    """The reply of a script that the server did not know, asked for once more."""
    if isinstance(error, NoScriptError):
        return await call.script.client.execute_command("EVAL", call.script.source, *call.words)
    raise error


async def ping(client: Client) -> None:
    """Return when Redis answers.

    Raises:
        RedisUnavailableError: it does not.
    """
    try:
        await client.ping()
    except (RedisError, RedisClusterException, OSError) as exc:
        raise RedisUnavailableError(f"Redis is unavailable: {exc}") from exc
