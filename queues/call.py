"""One submission, before it is a message."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from queues.errors import InvalidOptionError
from queues.priority import checked_priority

MAX_DELAY_S = 30 * 86_400
"""Thirty days."""


@dataclass(frozen=True, slots=True)
class Call:
    """One submission: the arguments and how they are to be sent.

    Args:
        delay: seconds before which the task must not start, at most thirty days.
        priority: 0 to 9, higher first, or a `Priority`; None takes the task's.
        key: names the work in place of the arguments; another submission with the same key and other
            arguments is refused.
        scope: keeps equal calls of different owners apart; a tenant's id, for example.
        eta: in place of `delay`, the moment before which the task must not start, with a time zone; one that is
            past is now.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    delay: float = 0.0
    priority: int | None = None
    key: str | None = None
    scope: str = ""
    eta: datetime | None = None

    def __post_init__(self) -> None:
        if not _is_seconds(self.delay) or not 0 <= self.delay <= MAX_DELAY_S:
            msg = f"delay={self.delay!r}: 0 to {MAX_DELAY_S} seconds"
            raise InvalidOptionError(msg)
        if self.priority is not None:
            checked_priority(self.priority)
        if self.eta is not None:
            _check_moment("eta", self.eta)
            if self.delay:
                msg = f"delay={self.delay!r} and eta={self.eta.isoformat()}: one of them"
                raise InvalidOptionError(msg)

    def delay_ms(self, now_ms: int) -> int:
        """Ms from now before which the task must not start.

        Raises:
            InvalidOptionError: `eta` is more than thirty days away.
        """
        if self.eta is None:
            return round(self.delay * 1000)
        delay_ms = max(0, round(self.eta.timestamp() * 1000) - now_ms)
        if delay_ms > MAX_DELAY_S * 1000:
            msg = f"eta={self.eta.isoformat()}: at most {MAX_DELAY_S // 86_400} days away"
            raise InvalidOptionError(msg)
        return delay_ms


def as_calls(calls: Iterable[Call | tuple[Any, ...]]) -> list[Call]:
    """The calls, where a plain tuple is the arguments of one."""
    return [call if isinstance(call, Call) else Call(tuple(call)) for call in calls]


def _is_seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_moment(name: str, moment: object) -> None:
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        msg = f"{name}={moment!r}: a datetime with a time zone, as datetime.now(UTC) + timedelta(hours=1)"
        raise InvalidOptionError(msg)
