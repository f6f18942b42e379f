"""How long an attempt of a task may take."""

import math
from dataclasses import dataclass

from queues.errors import InvalidOptionError


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """The time limits of each attempt of a task.

    Args:
        soft_s: seconds after which SoftTimeLimitError is raised in the task; None for never.
        hard_s: seconds after which the attempt is over, whatever the task does; None for never.

    Raises:
        InvalidOptionError: a limit that is not a number of seconds above 0, or a soft one that is not below the hard.
    """

    soft_s: float | None = None
    hard_s: float | None = None

    def __post_init__(self) -> None:
        for name, seconds in (("soft_time_limit", self.soft_s), ("time_limit", self.hard_s)):
            if seconds is not None and not _is_seconds(seconds):
                msg = f"{name}={seconds!r}: a number of seconds above 0, or None"
                raise InvalidOptionError(msg)
        if self.soft_s is not None and self.hard_s is not None and self.soft_s >= self.hard_s:
            msg = f"soft_time_limit={self.soft_s!r}: below time_limit={self.hard_s!r}, or the task cannot clean up"
            raise InvalidOptionError(msg)

    def __bool__(self) -> bool:
        return self.soft_s is not None or self.hard_s is not None


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
