"""How much is in a queue."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Depth:
    """What a broker tells of one queue; None is what it cannot tell."""

    waiting_messages: int
    unacknowledged_messages: int | None = None
    consumers: int | None = None
