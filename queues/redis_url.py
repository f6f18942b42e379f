"""What a Redis URL says, and whether two of them name one place.

`redis://`, `rediss://` and `unix://` are redis-py's. For Sentinel and Cluster it has no URL; the forms here are those
that Flask-Redis-Sentinel, Prefect and docket read:

    redis+sentinel://[user:password@]host[:port],host[:port]/SERVICE[/db][?option=value]
    redis+cluster://[user:password@]host[:port],host[:port][?option=value]

with `rediss+` for TLS. kombu's `sentinel://` keeps the service's name outside the URL, so it cannot be one setting.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qs, unquote

from queues.errors import InvalidOptionError

DEFAULT_PORT = 6379
SENTINEL_PORT = 26379
Address = tuple[str, int]


class Topology(StrEnum):
    """What stands behind a URL."""

    SERVER = "server"
    SOCKET = "socket"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


_SCHEMES = {
    "redis": Topology.SERVER,
    "rediss": Topology.SERVER,
    "unix": Topology.SOCKET,
    "redis+sentinel": Topology.SENTINEL,
    "rediss+sentinel": Topology.SENTINEL,
    "redis+cluster": Topology.CLUSTER,
    "rediss+cluster": Topology.CLUSTER,
}


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """The parts of a URL.

    Args:
        addresses: of the server, the sentinels, or some nodes of the cluster; empty for a socket.
        path: of a socket.
        service: the name under which the sentinels know the master.
        login: what stands before the @, as it is written there.
        query: what stands after the question mark, as it is written there.
    """

    topology: Topology
    is_tls: bool
    addresses: tuple[Address, ...]
    path: str
    service: str
    db: int
    login: str = field(repr=False)
    query: str = field(repr=False)

    @property
    def place(self) -> tuple[object, ...]:
        """What is equal for two URLs of the same keys, as far as their text tells."""
        named = {(_LOOPBACK.get(host, host), port) for host, port in self.addresses}
        return self.topology, frozenset(named), self.path, self.service, self.db


_LOOPBACK = {"localhost": "127.0.0.1"}


def is_redis_url(url: str) -> bool:
    """Whether its scheme is one of Redis's."""
    return url.partition("://")[0] in _SCHEMES and "://" in url


def is_same_redis(first: str, second: str) -> bool:
    """Whether both name the same database of the same server, as far as their text tells.

    A cluster never is one server: two keys of it may lie on two nodes, so no script reaches both.
    """
    try:
        one, other = read(first), read(second)
    except InvalidOptionError:
        return False
    return one.topology is not Topology.CLUSTER and one.place == other.place


def read(url: str) -> RedisUrl:
    """The parts of a URL.

    Raises:
        InvalidOptionError: it cannot be read; the text names the fault, and leaves passwords out.
    """
    try:
        return _read(url)
    except InvalidOptionError:
        # The password of such a URL is read as something else, so nothing of it may be shown.
        if any("@" in part for part in re.split("[/?#]", url.partition("://")[2])[1:]):
            raise InvalidOptionError(UNESCAPED) from None
        raise


def _read(url: str) -> RedisUrl:
    scheme, separator, rest = url.partition("://")
    topology = _SCHEMES.get(scheme)
    if topology is None or not separator:
        raise InvalidOptionError(EXPECTED)
    before, _, query = rest.partition("?")
    query = query.partition("#")[0]
    is_tls = scheme.startswith("rediss")
    if not is_tls and (named := sorted(name for name in parse_qs(query) if name.startswith("ssl_"))):
        msg = f"{NOT_USABLE}: {', '.join(named)}: ssl_* options need rediss://, with Sentinel or a cluster rediss+"
        raise InvalidOptionError(msg)
    authority, slash, path = before.partition("/")
    login, _, hosts = authority.rpartition("@")
    db = parse_qs(query).get("db", [""])[0]
    if topology is Topology.SOCKET:
        return RedisUrl(topology, False, (), unquote(slash + path), "", _database(db or "0"), login, query)
    service, _, number = path.partition("/") if topology is Topology.SENTINEL else ("", "", path)
    if (topology is Topology.SENTINEL) != bool(service):
        msg = "a Sentinel URL names its service: redis+sentinel://host:26379,host:26379/SERVICE/0"
        raise InvalidOptionError(msg)
    parsed = _database(db or number.strip("/") or "0")
    if topology is Topology.CLUSTER and parsed:
        msg = "a cluster has database 0 only: redis+cluster://host:6379,host:6379"
        raise InvalidOptionError(msg)
    port = SENTINEL_PORT if topology is Topology.SENTINEL else DEFAULT_PORT
    addresses = tuple(_address(part, port) for part in hosts.split(","))
    if topology is Topology.SERVER and len(addresses) > 1:
        msg = "more than one host: write redis+sentinel:// or redis+cluster:// before them"
        raise InvalidOptionError(msg)
    return RedisUrl(topology, is_tls, addresses, "", unquote(service), parsed, login, query)


NOT_USABLE = "not a usable Redis URL"
EXPECTED = (
    f"{NOT_USABLE}: it begins with none of redis://, rediss://, unix://, redis+sentinel:// and redis+cluster:// "
    "(rediss+ with TLS)"
)
UNESCAPED = f"{NOT_USABLE}: a '/', '?' or '#' in a user or password is written as %2F, %3F or %23"


def _address(text: str, default_port: int) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port:  # no port, after a name or after an IPv6 address in brackets
        host, port = text, ""
    host = unquote(host.removeprefix("[").removesuffix("]")) or "127.0.0.1"
    if port and not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) <= 65_535):
        # It is not shown: it may be a password that no @ follows.
        msg = f"{NOT_USABLE}: the port is no number from 1 to 65535"
        raise InvalidOptionError(msg)
    return host.lower(), int(port) if port else default_port


def _database(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        msg = f"{NOT_USABLE}: the database is no number"
        raise InvalidOptionError(msg)
    return int(text)
