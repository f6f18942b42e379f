"""The one place that makes a client from a URL: of a server, a master behind sentinels, or a cluster.

Waiting is in three layers. A connection that breaks is made again here, some times within about three seconds and with
growing, random pauses, so that a restart is not noticed and many clients do not come back in one moment. A reply that
does not come is asked for once more, on a new connection: the old one is closed, so that its late reply meets nobody.
What is still without an answer then is a StoreUnavailableError, and its caller decides: a worker goes on asking.
"""

import inspect
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode

import redis
import redis.asyncio
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.exceptions
import redis.sentinel
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel

from queues.errors import (
    InvalidOptionError,
    StoreFullError,
    StoreReadOnlyError,
    StoreRefusedError,
    StoreUnavailableError,
)
from queues.redis_url import NOT_USABLE, RedisUrl, Topology, read
from queues.stores.cluster import Cluster
from queues.stores.single_server import SingleServer
from queues.stores.single_server_async import AsyncSingleServer

TIMEOUT_S = 5.0
"""After this long without a reply a server counts as away; the URL's own `socket_timeout` wins."""
SENTINEL_TIMEOUT_S = 1.0
RETRIES = 10
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.01, 1.0
MANAGED_RETRIES = 2
"""Of a client that looks its server up again: each of them asks every sentinel or node, twice over for a sentinel's."""
_SENTINELS_OWN = "sentinel_"
Client = redis.Redis | Cluster


def _is_worth_another() -> Callable[[Exception], bool]:
    silences = 0

    def judge(error: Exception) -> bool:
        nonlocal silences
        if isinstance(error, (redis.exceptions.AuthenticationError, redis.exceptions.AuthorizationError)):
            return False  # the same login is refused again
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return False
        silences += isinstance(error, (redis.exceptions.TimeoutError, TimeoutError))
        return silences < 2

    return judge


class Reconnecting(Retry):
    """Tries a broken connection again, a silent one once, a refused one never."""

    def call_with_retry(self, do: Any, fail: Any, *_: Any, **options: Any) -> Any:
        """As redis-py's."""
        options["is_retryable"] = _is_worth_another()
        return super().call_with_retry(do, fail, **options)


class AsyncReconnecting(redis.asyncio.retry.Retry):
    """As `Reconnecting`, for an event loop."""

    async def call_with_retry(self, do: Any, fail: Any, *_: Any, **options: Any) -> Any:
        """As redis-py's."""
        options["is_retryable"] = _is_worth_another()
        return await super().call_with_retry(do, fail, **options)


def _backoff() -> ExponentialWithJitterBackoff:
    return ExponentialWithJitterBackoff(base=FIRST_PAUSE_S, cap=LONGEST_PAUSE_S)


def check_url(url: str) -> RedisUrl:
    """The parts of a URL that a client can be made of.

    Raises:
        InvalidOptionError: it cannot be read, or has an option that cannot be used; the text leaves the password out.
    """
    parts = read(url)
    known = _KNOWN | _CLUSTERS_KNOWN if parts.topology is Topology.CLUSTER else _KNOWN
    for name in _options(parts):
        plain = name.removeprefix(_SENTINELS_OWN) if parts.topology is Topology.SENTINEL else name
        if plain not in known:
            named = f"option {name}" if re.fullmatch("[a-z_]{1,40}", name) else "such option"
            msg = f"{NOT_USABLE}: there is no {named}"
            raise InvalidOptionError(msg)
    return parts


_KNOWN = set(inspect.signature(redis.Redis).parameters)
_CLUSTERS_KNOWN = set(inspect.signature(RedisCluster).parameters)


def _options(parts: RedisUrl) -> dict[str, Any]:
    # redis-py reads the login and the query; the place is read already.
    scheme = "rediss" if parts.is_tls else "redis"
    login = f"{parts.login}@" if parts.login else ""
    try:
        options: dict[str, Any] = parse_url(f"{scheme}://{login}host?{parts.query}")  # type: ignore[no-untyped-call] # redis-py
    except ValueError:
        # Nothing of the library's own error is shown: a password may stand in it.
        msg = f"{NOT_USABLE}: {_fault(parts)}"
        raise InvalidOptionError(msg) from None
    if options.get("decode_responses"):
        msg = f"{NOT_USABLE}: it is used without decode_responses"
        raise InvalidOptionError(msg)
    for name in ("host", "db", "connection_class"):
        options.pop(name, None)
    if parts.is_tls:
        options["ssl"] = True
    return {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S, **options}


def _fault(parts: RedisUrl) -> str:
    for name, values in parse_qs(parts.query).items():
        try:
            parse_url(f"redis://host?{urlencode({name: values[0]})}")  # type: ignore[no-untyped-call] # redis-py
        except ValueError:
            return f"the value of {name} cannot be used"
    return "its user or password cannot be read: what is no letter or digit in them is written as %40"


def _place(parts: RedisUrl) -> dict[str, Any]:
    if parts.topology is Topology.SOCKET:
        return {"unix_socket_path": parts.path, "db": parts.db}
    host, port = parts.addresses[0]
    return {"host": host, "port": port, "db": parts.db}


def _sentinels_options(options: dict[str, Any]) -> dict[str, Any]:
    """Takes those of the sentinels out of the options, and adds what they share with the master."""
    own = {name: options.pop(name) for name in [*options] if name.startswith(_SENTINELS_OWN)}
    shared = {name: value for name, value in options.items() if name.startswith("ssl")}
    timeouts = {"socket_timeout": SENTINEL_TIMEOUT_S, "socket_connect_timeout": SENTINEL_TIMEOUT_S}
    return {**shared, **timeouts, **{name.removeprefix(_SENTINELS_OWN): value for name, value in own.items()}}


def connected(url: str, **more: Any) -> Client:
    """A client for a URL; but for a cluster's, it connects at its first use.

    Args:
        more: options of redis-py, which win over the URL's.

    Raises:
        InvalidOptionError: as `check_url`.
        redis.exceptions.RedisClusterException: no node of the cluster answers.
    """
    parts = check_url(url)
    options = {**_options(parts), **more}
    match parts.topology:
        case Topology.CLUSTER:
            nodes = [ClusterNode(*address) for address in parts.addresses]  # type: ignore[no-untyped-call] # redis-py
            retry = Reconnecting(_backoff(), MANAGED_RETRIES)
            return Cluster(startup_nodes=nodes, **{"retry": retry, **options})
        case Topology.SENTINEL:
            own = {"retry": Retry(NoBackoff(), 0), **_sentinels_options(options)}
            sentinel: Any = Sentinel(parts.addresses, sentinel_kwargs=own)  # type: ignore[no-untyped-call] # redis-py
            retry = Reconnecting(_backoff(), MANAGED_RETRIES)
            client: redis.Redis = sentinel.master_for(parts.service, db=parts.db, **{"retry": retry, **options})
            return client
        case _:
            retry = Reconnecting(_backoff(), RETRIES)
            return SingleServer(**{**_place(parts), "retry": retry, **options})


def impatient(within_ms: int) -> dict[str, Any]:
    """Options of a client that has answered or failed after about so long: it tries nothing twice."""
    timeout_s = within_ms / 2000  # to connect, and for the reply
    return {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s, "retry": Retry(NoBackoff(), 0)}


class Clients:
    """The client of a URL, made at its first use: a process that forked gets one of its own.

    Args:
        given: used in place of the URL.
        options: of redis-py, which win over the URL's.
    """

    def __init__(self, url: str, given: Client | None = None, **options: Any) -> None:
        if given is None:
            check_url(url)
        self._url = url
        self._given = given
        self._options = options
        self._made: dict[int, Client] = {}

    @property
    def current(self) -> Client:
        """The client of this process.

        Raises:
            redis.exceptions.RedisClusterException: no node of the cluster answers.
        """
        if self._given is not None:
            return self._given
        # No lock: a fork would inherit it held. Of two threads that make a client, one gives its own up.
        return self._made.get(os.getpid()) or self._made.setdefault(os.getpid(), connected(self._url, **self._options))

    def close(self) -> None:
        """Close the connections of this process; the next use opens new ones."""
        client = self._made.get(os.getpid(), self._given)
        if client is None:
            return
        client.close()
        manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
        if manager is not None:
            manager.close()


def masters(client: Client) -> list[redis.Redis]:
    """Every server that takes writes: the nodes of a cluster, or the one."""
    if isinstance(client, Cluster):
        return client.masters()
    return [client]


def holder(client: Client, key: str) -> redis.Redis:
    """The server that holds a key."""
    return client.node_of(key) if isinstance(client, Cluster) else client


def connected_async(url: str, **more: Any) -> Any:
    """As `connected`, for the event loop that runs; every kind of it connects at its first use."""
    parts = check_url(url)
    options = {**_options(parts), **more}
    match parts.topology:
        case Topology.CLUSTER:
            nodes = [redis.asyncio.cluster.ClusterNode(host, port) for host, port in parts.addresses]
            retry = AsyncReconnecting(_backoff(), MANAGED_RETRIES)
            return redis.asyncio.RedisCluster(startup_nodes=nodes, **{"retry": retry, **options})
        case Topology.SENTINEL:
            own = {"retry": redis.asyncio.retry.Retry(NoBackoff(), 0), **_sentinels_options(options)}
            sentinel: Any = redis.asyncio.sentinel.Sentinel(parts.addresses, sentinel_kwargs=own)  # type: ignore[no-untyped-call] # redis-py
            retry = AsyncReconnecting(_backoff(), MANAGED_RETRIES)
            return sentinel.master_for(parts.service, db=parts.db, **{"retry": retry, **options})
        case _:
            retry = AsyncReconnecting(_backoff(), RETRIES)
            return AsyncSingleServer(**{**_place(parts), "retry": retry, **options})


async def closed(client: Any) -> None:
    """Close what `connected_async` made; redis-py leaves the connections to the sentinels open."""
    await client.aclose()
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    for sentinel in manager.sentinels if manager is not None else ():
        await sentinel.aclose()


ERRORS = (redis.exceptions.RedisError, redis.exceptions.RedisClusterException, OSError)
"""What the driver raises."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn any error of the driver into StoreUnavailableError, or one of its kinds."""
    try:
        yield
    except ERRORS as exc:
        raise translation(exc) from exc


def _is_forbidden(error: Exception) -> bool:
    # Valkey tells a script's user in words alone.
    return isinstance(error, redis.exceptions.NoPermissionError) or "ACL failure in script" in str(error)


def translation(error: Exception) -> StoreUnavailableError:
    """What an error of the driver means to this library."""
    text = f"{type(error).__name__}: {error}"
    match error:
        case StoreUnavailableError():
            return error
        case redis.sentinel.MasterNotFoundError():
            # Its text shows the sentinels' clients, with every option that they have.
            service, _, details = str(error).partition(" : ")
            if any(word in details for word in ("Authentication", "NOAUTH", "WRONGPASS", "NoPermission")):
                msg = f"the sentinels refuse this login: {service}; mend sentinel_username and sentinel_password"
                return StoreRefusedError(msg)
            return StoreUnavailableError(f"the sentinels name no master that lives: {service}")
        case redis.exceptions.AuthenticationError() | redis.exceptions.AuthorizationError():
            return StoreRefusedError(f"Redis refuses this login; mend the user or the password in the URL ({text})")
        case redis.exceptions.ResponseError() if _is_forbidden(error):
            return StoreRefusedError(f"Redis forbids this user a command or a key; deploy/redis/users.acl ({text})")
        case redis.exceptions.ConnectionError() if "CERTIFICATE_VERIFY_FAILED" in text:
            return StoreRefusedError(
                f"nobody vouches for Redis's certificate; name its authority in ssl_ca_certs ({text})"
            )
        case redis.exceptions.OutOfMemoryError():
            return StoreFullError(f"Redis is full, and takes no new work until there is room ({text})")
        case redis.exceptions.ReadOnlyError():
            return StoreReadOnlyError(f"this Redis is a read-only replica; name the master in the URL ({text})")
        case _:
            return StoreUnavailableError(f"Redis did not answer: {text}")
