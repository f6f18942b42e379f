"""What a worker process is called, in the list of workers and in the records that it runs."""

import os
import secrets
import socket

SEPARATOR = "/"


def worker_name(backend: str, pid: int | None = None) -> str:
    """How a process of this machine, or this one, calls itself as a worker: `<backend>@<host>:<pid>`."""
    return f"{backend}@{socket.gethostname()}:{os.getpid() if pid is None else pid}"


def new_execution(backend: str) -> str:
    """A name of one delivery to this process, which no other has; empty backend for a run outside any worker."""
    return f"{worker_name(backend)}{SEPARATOR}{secrets.token_hex(8)}" if backend else secrets.token_hex(8)


def worker_of(execution: str) -> str | None:
    """The process that a delivery's name tells of; None when it tells none."""
    name, separator, _ = execution.rpartition(SEPARATOR)
    return name if separator and "@" in name else None
