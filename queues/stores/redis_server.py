"""What a Redis server says of itself, for `queues doctor`: facts only, and None for what it does not tell."""

import time
from dataclasses import dataclass, field
from typing import Any

import redis.exceptions

from queues.stores.redis import connected, translated

ROUND_TRIPS = 5
SETTINGS = ("appendfsync", "save", "maxmemory-policy")


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What was seen of a server.

    Args:
        info: of INFO, all sections; empty when it is forbidden.
        config: of CONFIG GET; None when it is forbidden, as on managed servers.
        clock_ahead_ms: how far the server's clock is before this machine's; negative when it is behind.
        slowest_ms: the slowest of `ROUND_TRIPS` round trips.
        timeout_ms: after which this client gives a reply up; None for never.
    """

    info: dict[str, Any] = field(default_factory=dict)
    config: dict[str, str] | None = None
    clock_ahead_ms: int = 0
    slowest_ms: float = 0.0
    timeout_ms: int | None = None

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


def seen(url: str) -> ServerFacts:
    """What the server of a URL says of itself.

    Raises:
        InvalidOptionError: a URL that cannot be used.
        StoreUnavailableError: it does not answer.
    """
    client = connected(url)
    try:
        with translated():
            client.ping()
            timeout_s = client.connection_pool.connection_kwargs.get("socket_timeout")
            clock_ahead_ms, slowest_ms = _measured(client)
            return ServerFacts(
                _info(client),
                _config(client),
                clock_ahead_ms,
                slowest_ms,
                None if timeout_s is None else round(float(timeout_s) * 1000),
            )
    finally:
        client.close()


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
