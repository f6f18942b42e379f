"""One submission, before it is a message."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from queues.errors import InvalidOptionError
from queues.priority import checked_priority

MAX_DELAY_S = 30 * 86_400
"""Thirty days."""


@dataclass(frozen=True, slots=True)
class Call:
    """One submission: the arguments and how they are to be sent.

    Args:
        delay: seconds before which the task must not start.
        priority: 0 to 9, higher first, or a `Priority`; None takes the task's.
        key: names the work in place of the arguments; another submission with the same key and other
            arguments is refused.
        scope: keeps equal calls of different owners apart; a tenant's id, for example.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    delay: float = 0.0
    priority: int | None = None
    key: str | None = None
    scope: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.delay <= MAX_DELAY_S:
            msg = f"delay={self.delay!r}: 0 to {MAX_DELAY_S} seconds"
            raise InvalidOptionError(msg)
        if self.priority is not None:
            checked_priority(self.priority)
