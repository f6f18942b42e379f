"""The effect ledger: what each process did, on disk and away from every server that is faulted.

Each process appends to a file of its own, one JSON line in one write, fsynced before the process goes on. The times
are the machine's: the monotonic clock is the same for all its processes, and no clock step reaches them.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

LONGEST_LINE_BYTES = 1024


class Phase(StrEnum):
    """What a line tells."""

    BEGIN = "begin"
    """A run of a task has entered the task's function."""
    EFFECT = "effect"
    """The run took effect; for a fenced task, its write was taken."""
    REFUSED = "refused"
    """The fenced write was refused, because a newer token had written."""
    END = "end"
    """The run returns from the task's function."""
    RAISED = "raised"
    """The run leaves the task's function by an exception: its own, or because it was told to stop."""
    SUBMIT = "submit"
    """A producer is about to submit."""
    ACKED = "acked"
    """The submission was acknowledged."""
    UNSURE = "unsure"
    """The submission raised: it may have been accepted or not."""
    STRANGE = "strange"
    """As UNSURE, but the error is none of the library's tree."""
    DIED = "died"
    """A producer kills itself between admit and publish."""
    DOUBLED = "doubled"
    """A producer put copies of a message on the queue itself."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger.

    Args:
        name: of the piece of work; the task's first argument.
        message: id of the message that ran, or that the submission was told.
        token: the fencing token; 0 in a producer.
        mono_ms: the machine's monotonic clock.
        wall_ms: the machine's wall clock, which is also the store's.
        note: the decision of a submission, or the text of an error.
    """

    phase: Phase
    name: str
    pid: int
    mono_ms: float
    wall_ms: float
    message: str = ""
    token: int = 0
    attempt: int = 0
    note: str = ""


def mono_ms() -> float:
    """The machine's monotonic clock."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) / 1e6


def wall_ms() -> float:
    """The machine's wall clock, whatever this process was told that it shows."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME) / 1e6


class Ledger:
    """Appends to this process's file; safe in threads and after a fork.

    Args:
        folder: one for the whole run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._pid = 0
        self._file = -1

    def write(
        self, phase: Phase, name: str, *, message: str = "", token: int = 0, attempt: int = 0, note: str = ""
    ) -> None:
        """Add a line; it is on disk when this returns."""
        line = Line(phase, name, os.getpid(), mono_ms(), wall_ms(), message, token, attempt, note[:200])
        data = json.dumps(asdict(line), separators=(",", ":")).encode() + b"\n"
        file = self._opened()
        os.write(file, data)
        os.fsync(file)

    def _opened(self) -> int:
        if self._pid != os.getpid():
            with self._lock:
                if self._pid != os.getpid():
                    path = self._folder / f"ledger-{os.getpid()}.jsonl"
                    self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
                    self._pid = os.getpid()
        return self._file


class Reader:
    """Reads the files of a folder, each time from where it stopped.

    A line that a dying process did not finish is left out.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets: dict[Path, int] = {}

    def new(self) -> Iterator[Line]:
        """The lines that were added since the last call, file after file."""
        for path in sorted(self._folder.glob("ledger-*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                data = file.read()
            whole, _, _ = data.rpartition(b"\n")
            self._offsets[path] = self._offsets.get(path, 0) + len(whole) + (1 if whole else 0)
            for text in whole.splitlines():
                fields = json.loads(text)
                yield Line(**{**fields, "phase": Phase(fields["phase"])})


def is_busy(path: Path) -> bool:
    """Whether the last line of a process's file says that a run goes on."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LONGEST_LINE_BYTES))
        last = file.read().splitlines()[-1:]
    return bool(last) and any(f'"phase":"{phase}"'.encode() in last[0] for phase in (Phase.BEGIN, Phase.EFFECT))
