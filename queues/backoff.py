"""How long to wait before the next attempt."""

import math
import random
from dataclasses import dataclass

from queues.errors import InvalidOptionError


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that grow by a factor: `Backoff(60)` waits 60 s, 120 s, 240 s.

    Args:
        base_s: the wait before the second attempt, in seconds.
        factor: what each further wait is multiplied by.
        max_s: no wait is longer than this, in seconds.
        jitter: the part of a wait that is random, 0 to 1: 0.5 waits between half and the whole.

    Raises:
        InvalidOptionError: a number out of its range.
    """

    base_s: float = 60.0
    factor: float = 2.0
    max_s: float = 3600.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        is_finite = math.isfinite(self.base_s + self.factor + self.max_s)
        if not (is_finite and 0 <= self.base_s <= self.max_s and self.factor >= 1 and 0 <= self.jitter <= 1):
            msg = f"{self!r}: needs 0 <= base_s <= max_s, factor >= 1 and 0 <= jitter <= 1"
            raise InvalidOptionError(msg)

    def delay_ms(self, retries: int) -> int:
        """The wait in ms after `retries` earlier retries; 0 asks for the first wait."""
        try:
            wait_s = min(self.base_s * self.factor**retries, self.max_s)
        except OverflowError:
            wait_s = self.max_s if self.base_s else 0.0
        return round(1000 * wait_s * (1 - self.jitter * random.random()))


class Retry(Exception):  # noqa: N818 - a signal, not an error
    """Raise it in a task to ask for another attempt.

    Args:
        delay: seconds until then; None takes the task's backoff.

    Raises:
        InvalidOptionError: the delay is no finite number of seconds.
    """

    def __init__(self, message: str = "", *, delay: float | None = None) -> None:
        super().__init__(message or "another attempt was asked for")
        if delay is not None and not math.isfinite(delay):
            msg = f"Retry(delay={delay!r}): needs a finite number of seconds"
            raise InvalidOptionError(msg)
        self.delay = delay
