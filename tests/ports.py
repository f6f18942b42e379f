"""Ports of loopback for the servers of the tests: no test of a session is given the port of another.

A port that was found free is not yet bound: with ports chosen at random, another test, or the next server of the same
test, has it in the meantime, once in some hundred sessions.
"""

import os
import random
from collections.abc import Iterator

from app.embedded.ports import PortError, check_port

LOWEST, COUNT = 8_000, 12_000
"""Below those that `app.embedded.ports` gives to the servers that come with the service."""


def _own() -> Iterator[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = COUNT // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    # Another session on this machine begins elsewhere.
    at = random.SystemRandom().randrange(share)
    while True:
        at = (at + 1) % share
        yield LOWEST + worker * share + at


_ports = _own()


def free_port() -> int:
    """A port that nobody listens on, and that this session gives to nobody else."""
    for port in _ports:
        try:
            check_port("127.0.0.1", port)
        except PortError:
            continue
        return port
    raise AssertionError
