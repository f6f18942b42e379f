"""What a worker process is called, in the list of workers and in the records that it runs."""

import itertools
import os
import secrets
import socket
from functools import lru_cache

SEPARATOR = "/"


def worker_name(backend: str, pid: int | None = None) -> str:
    """How a process of this machine, or this one, calls itself as a worker: `<backend>@<host>:<pid>`."""
    return _name(backend, os.getpid() if pid is None else pid)


@lru_cache
def _name(backend: str, pid: int) -> str:
    # The machine is asked for its name once: every run begins under it.
    return f"{backend}@{socket.gethostname()}:{pid}"


def new_execution(backend: str) -> str:
    """A name of one delivery to this process, which no other has; empty backend for a run outside any worker."""
    if not backend:
        return secrets.token_hex(8)
    # The process has one random part, and counts: to ask the system for each would take a switch of threads.
    return f"{worker_name(backend)}{SEPARATOR}{_nonce(os.getpid())}{next(_COUNT):x}"


_COUNT = itertools.count()


@lru_cache
def _nonce(pid: int) -> str:
    del pid  # a child of a fork draws its own
    return secrets.token_hex(6)


def worker_of(execution: str) -> str | None:
    """The process that a delivery's name tells of; None when it tells none."""
    name, separator, _ = execution.rpartition(SEPARATOR)
    return name if separator and "@" in name else None
