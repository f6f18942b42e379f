"""What Redis servers say of themselves, for `queues doctor`: facts only, and None for what it does not tell."""

import re
import time
from dataclasses import dataclass, field
from typing import Any

import redis.exceptions

from queues.stores.connection import Clients, masters, translated

ROUND_TRIPS = 5
SETTINGS = ("appendfsync", "save", "maxmemory-policy", "min-replicas-to-write")


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica as its master sees it.

    Args:
        lag_s: seconds since it last said how far it is.
    """

    address: str
    is_online: bool
    lag_s: int


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What was seen of a server.

    Args:
        info: of INFO, all sections; empty when it is forbidden.
        config: of CONFIG GET; None when it is forbidden, as on managed servers.
        clock_ahead_ms: how far the server's clock is before this machine's; negative when it is behind.
        slowest_ms: the slowest of `ROUND_TRIPS` round trips.
        address: where it is; empty for a socket.
        cluster_state: of CLUSTER INFO; None when it is no node of a cluster, or does not tell.
    """

    info: dict[str, Any] = field(default_factory=dict)
    config: dict[str, str] | None = None
    clock_ahead_ms: int = 0
    slowest_ms: float = 0.0
    address: str = ""
    cluster_state: str | None = None

    @property
    def replicas(self) -> list[Replica]:
        """The replicas that follow it."""
        told = [value for name, value in self.info.items() if re.fullmatch(r"slave\d+", name)]
        return [
            Replica(f"{r.get('ip')}:{r.get('port')}", r.get("state") == "online", int(r.get("lag", 0)))
            for r in told
            if isinstance(r, dict)
        ]

    def number(self, name: str) -> int | None:
        """A number of INFO; None when it is not told."""
        value = self.info.get(name)
        return int(value) if isinstance(value, (int, float)) else None

    def text(self, name: str) -> str | None:
        """A text of INFO; None when it is not told."""
        value = self.info.get(name)
        return None if value is None else str(value)

    def setting(self, name: str) -> str | None:
        """A setting; None when the server does not show it."""
        return None if self.config is None else self.config.get(name)


def seen(url: str) -> list[ServerFacts]:
    """What each server of a URL that takes writes says of itself: one, or the masters of a cluster.

    Raises:
        InvalidOptionError: a URL that cannot be used.
        StoreUnavailableError: one does not answer.
    """
    clients = Clients(url)
    try:
        with translated():
            client = clients.current
        return seen_by(client)
    finally:
        clients.close()


def seen_by(client: Any) -> list[ServerFacts]:
    """As `seen`, of what a client of redis-py reaches.

    Raises:
        StoreUnavailableError: one does not answer.
    """
    with translated():
        return [_facts(server) for server in masters(client)]


def _facts(server: Any) -> ServerFacts:
    server.ping()
    options = server.connection_pool.connection_kwargs
    clock_ahead_ms, slowest_ms = _measured(server)
    return ServerFacts(
        _info(server),
        _config(server),
        clock_ahead_ms,
        slowest_ms,
        f"{options['host']}:{options['port']}" if "host" in options else "",
        _cluster_state(server),
    )


def _cluster_state(server: Any) -> str | None:
    try:
        return str(server.execute_command("CLUSTER INFO")["cluster_state"])
    except redis.exceptions.ResponseError:
        return None


def _measured(client: Any) -> tuple[int, float]:
    aheads_ms: list[tuple[float, float]] = []
    for _ in range(ROUND_TRIPS):
        begun_s, sent_at_s = time.perf_counter(), time.time()
        seconds, microseconds = client.time()
        took_s = time.perf_counter() - begun_s
        ahead_s = seconds + microseconds / 1_000_000 - (sent_at_s + took_s / 2)
        aheads_ms.append((took_s * 1000, ahead_s * 1000))
    # The quickest answer tells the clock best, the slowest one the network.
    return round(min(aheads_ms)[1]), max(aheads_ms)[0]


def _info(client: Any) -> dict[str, Any]:
    try:
        return dict(client.info())
    except redis.exceptions.ResponseError:
        return {}


def _config(client: Any) -> dict[str, str] | None:
    texts: dict[str, str] = {}
    try:
        for name in SETTINGS:  # one a call: servers before 7.0 take no more
            texts |= {_text(name): _text(value) for name, value in client.config_get(name).items()}
    except redis.exceptions.ResponseError:
        return None
    return texts or None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
