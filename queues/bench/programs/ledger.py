"""What each task that takes effect leaves behind: its number and the moment, sixteen bytes at the end of a file."""

import os
import struct
import time
from pathlib import Path
from typing import NamedTuple

ENTRY = struct.Struct("<qq")
_descriptors: dict[int, int] = {}


class Effect(NamedTuple):
    """A task took effect: its number, and when, by the machine's monotonic clock."""

    number: int
    at_ns: int


def note(number: int) -> None:
    """Leave an effect in the file that BENCH_LEDGER names; one system call."""
    pid = os.getpid()
    if pid not in _descriptors:
        _descriptors[pid] = os.open(os.environ["BENCH_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(_descriptors[pid], ENTRY.pack(number, time.monotonic_ns()))


def released_by(path: Path, number: int) -> Path:
    """The file that lets the task `hold` of that number end, beside the ledger."""
    return path.with_name(f"release-{number}")


def count(path: Path) -> int:
    """How many effects there are."""
    return path.stat().st_size // ENTRY.size if path.exists() else 0


def effects(path: Path, skip: int = 0) -> list[Effect]:
    """The effects, in the order in which they were left, without the first `skip`."""
    with path.open("rb") as file:
        file.seek(skip * ENTRY.size)
        data = file.read()
    return [Effect(*entry) for entry in ENTRY.iter_unpack(data[: len(data) // ENTRY.size * ENTRY.size])]
