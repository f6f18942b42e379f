"""What the supervisor runs: a command, and how it says that it is ready."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Program:
    """One program of the service.

    Attributes:
        name: short; stands before its lines on the terminal, and names its log.
        command: the program's path and its arguments.
        ready: matches the line of its output that says that it is ready.
        environment: added to the supervisor's own.
        folder: its working directory; None is the supervisor's.
        start_within_s: how long it may take to be ready.
        stop_within_s: how long it may take to end after SIGTERM, before SIGKILL.
        secret: matches a line that is shown on the terminal but kept in no log.
    """

    name: str
    command: tuple[str, ...]
    ready: re.Pattern[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    start_within_s: float = 30.0
    stop_within_s: float = 10.0
    secret: re.Pattern[str] | None = None


class ProgramStartError(RuntimeError):
    """A program ended, or was not ready in time. `name` says which; `tail` is the end of its output."""

    def __init__(self, name: str, reason: str, tail: tuple[str, ...], log: Path | None) -> None:
        place = f"\n(all of it: {log})" if log is not None else ""
        shown = "\n".join(f"  {line}" for line in tail) or "  (it wrote nothing)"
        super().__init__(f"{name} {reason}. The end of its log:\n{shown}{place}")
        self.name = name
        self.tail = tail
