"""A crash that is to happen once in a worker or a producer, at a named point of `programs/crash_points.py`."""

import uuid
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Crash:
    """A crash that waits for the first process to come to its point.

    Args:
        point: a name of `crash_points.POINTS`.
        waiting: a file that is there until the crash happens.
        whom: `process`, or `worker` for every process of it.
    """

    point: str
    waiting: Path
    whom: str = "process"

    @classmethod
    def at(cls, point: str, folder: Path, *, whom: str = "process") -> "Crash":
        """A crash that has not happened yet."""
        waiting = folder / f"{point}-{uuid.uuid4().hex[:6]}"
        waiting.touch()
        return cls(point, waiting, whom)

    @property
    def has_happened(self) -> bool:
        """Whether a process came to the point."""
        return not self.waiting.exists()

    @property
    def environment(self) -> dict[str, str]:
        """What the processes that may crash are told."""
        return {"CRASH_AT": self.point, "CRASH_FILE": str(self.waiting), "CRASH_WHOM": self.whom}
