"""Time, so that tests can turn it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time in ms."""

    def now_ms(self) -> int:
        """Ms since the Unix epoch."""
        ...

    def monotonic_ms(self) -> int:
        """Ms that never go back; for measuring how long something took."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now_ms(self) -> int:
        """Ms since the Unix epoch."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Ms that never go back."""
        return time.monotonic_ns() // 1_000_000
