"""Redis as the API uses it: one client a process, and scripts whose failures have one name."""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis as Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, RedisError

from queues.stores.connection import closed as close
from queues.stores.connection import connected_async

__all__ = ["Client", "RedisUnavailableError", "Script", "close", "connect", "ping"]

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


class Script:
    """A Lua script as an awaitable function; sent whole only when the server does not know it yet.

    Raises:
        RedisUnavailableError: when called and Redis does not answer.
    """

    def __init__(self, client: Client, source: str) -> None:
        self._run = client.register_script(source)

    async def __call__(self, keys: Sequence[str], args: Sequence[str | bytes | int]) -> Any:
        """What the script returns."""
        try:
            return await self._run(keys=list(keys), args=list(args))
        except (RedisError, RedisClusterException, OSError) as exc:
            raise RedisUnavailableError(f"Redis is unavailable: {exc}") from exc


async def ping(client: Client) -> None:
    """Return when Redis answers.

    Raises:
        RedisUnavailableError: it does not.
    """
    try:
        await client.ping()
    except (RedisError, RedisClusterException, OSError) as exc:
        raise RedisUnavailableError(f"Redis is unavailable: {exc}") from exc
