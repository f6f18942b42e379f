"""A redis-py client for what kombu has read from `broker_url` and `broker_transport_options`."""

from typing import Any

import redis

PASSED_ON = ("socket_timeout", "socket_connect_timeout", "socket_keepalive", "health_check_interval", "client_name")
"""Transport options of kombu that are redis-py's own parameters."""


def client_of(connection: Any) -> redis.Redis:
    """A client of the Redis that a kombu connection names. It connects when it is first used."""
    options = connection.transport_options
    host = connection.hostname or "localhost"
    parameters: dict[str, Any] = {"username": connection.userid or None, "password": connection.password or None}
    parameters |= {name: options[name] for name in PASSED_ON if options.get(name) is not None}
    if host.startswith("socket://"):
        path, _, query = host.removeprefix("socket://").partition("?")
        parameters |= {"unix_socket_path": path, "db": _database(query.removeprefix("virtual_host="))}
    else:
        parameters |= {"host": host, "port": connection.port or 6379, "db": _database(connection.virtual_host)}
    if connection.ssl:
        parameters |= {"ssl": True, **(connection.ssl if isinstance(connection.ssl, dict) else {})}
    return redis.Redis(**parameters)


def _database(name: str | None) -> int:
    text = str(name or "0").strip("/")
    return int(text) if text.isdigit() else 0
