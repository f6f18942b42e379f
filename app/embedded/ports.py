"""Ports of this machine: a free one for an embedded server, and whether the wanted one is free."""

import errno
import random
import socket

# Below the ports that Linux (from 32768) and macOS (from 49152) give to outgoing connections: a client that tries
# to reach its server again might be given the server's own port, and then the server could not come back.
LOWEST, HIGHEST = 20_000, 31_999
TRIES = 200
_RANDOM = random.SystemRandom()
"""The system's, so that two processes with the same seed do not choose the same port."""


class PortError(RuntimeError):
    """The address cannot be listened on; the text says why and what to do."""


def free_port(*chosen: int) -> int:
    """A port of loopback that nobody listens on now.

    Args:
        chosen: ports that will be listened on, and are not yet.

    Raises:
        PortError: none was found.
    """
    for _ in range(TRIES):
        port = _RANDOM.randint(LOWEST, HIGHEST)
        if port in chosen:
            continue
        try:
            _bind("127.0.0.1", port)
        except OSError:
            continue
        return port
    msg = f"no free port between {LOWEST} and {HIGHEST} on 127.0.0.1"
    raise PortError(msg)


def check_port(host: str, port: int) -> None:
    """Return if the API can listen there.

    Raises:
        PortError: it cannot.
    """
    try:
        _bind(host, port)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            msg = f"port {port} on {host} is taken by another program. Choose another one: PORT={port + 1} make run"
        elif exc.errno == errno.EACCES:
            msg = f"port {port} may not be opened by this user. Choose one from 1024 up: PORT=8001 make run"
        else:
            msg = f"cannot listen on HOST={host}, PORT={port}: {exc.strerror or exc}"
        raise PortError(msg) from exc


def _bind(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        # As the servers do: connections of an earlier run that still fade away are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen(1)
