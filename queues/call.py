"""One submission, before it is a message."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from queues.errors import InvalidArgumentsError, InvalidOptionError
from queues.lean import NOTHING, lean, nothing
from queues.priority import checked_priority

MAX_DELAY_S = 30 * 86_400
"""Thirty days."""
MAX_EXPIRES_S = 366 * 86_400


@lean(frozen=True, slots=True)
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
        expires: seconds after it is due within which the task must begin, or the moment, with a time zone, by which
            it must; else it ends with a stored TaskExpiredError and never runs. None takes the task's.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=nothing)
    delay: float = 0.0
    priority: int | None = None
    key: str | None = None
    scope: str = ""
    eta: datetime | None = None
    expires: float | datetime | None = None

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
        if isinstance(self.expires, datetime):
            _check_moment("expires", self.expires)
        elif self.expires is not None:
            checked_expires(self.expires)

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

    def begin_by_ms(self, due_ms: int, task_s: float | None) -> int:
        """By when the task must begin, in ms since the Unix epoch; 0 for never.

        Args:
            due_ms: when it may begin, by the same clock.
            task_s: the task's own `expires`.

        Raises:
            InvalidOptionError: it would expire before it is due.
        """
        expires = task_s if self.expires is None else self.expires
        if not isinstance(expires, datetime):
            return 0 if expires is None else due_ms + max(1, round(expires * 1000))
        by_ms = max(1, round(expires.timestamp() * 1000))
        if by_ms <= due_ms and (self.delay or self.eta):
            msg = f"expires={expires.isoformat()}: before it is due"
            raise InvalidOptionError(msg)
        return by_ms


def checked_expires(value: object) -> float:
    """Seconds within which a task must begin.

    Raises:
        InvalidOptionError: no number above 0, or more than a year.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= MAX_EXPIRES_S:
        msg = f"expires={value!r}: seconds, above 0 and at most {MAX_EXPIRES_S}, or a datetime with a time zone"
        raise InvalidOptionError(msg)
    return value


def as_calls(calls: Iterable[Call | tuple[Any, ...]]) -> Iterator[Call]:
    """The calls, one after another, where a plain tuple is the arguments of one.

    Raises:
        InvalidArgumentsError: one is neither, or they are no collection.
    """
    given: object = calls  # not everybody has a type checker
    if not isinstance(given, Iterable):
        msg = f"a collection of calls is expected, each a tuple of arguments or a Call; this is {type(calls).__name__}"
        raise InvalidArgumentsError(msg)
    for call in calls:
        yield call if isinstance(call, Call) else Call(as_args(call), NOTHING)


def as_args(given: Iterable[Any]) -> tuple[Any, ...]:
    """The positional arguments of a call.

    Raises:
        InvalidArgumentsError: they are no collection; a text would be taken for its letters.
    """
    if isinstance(given, tuple):
        return given
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        msg = f"the arguments of a call are a tuple, as ('order-1',), or a Call; this is {type(given).__name__}"
        raise InvalidArgumentsError(msg)
    return tuple(given)


def _is_seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_moment(name: str, moment: object) -> None:
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        msg = f"{name}={moment!r}: a datetime with a time zone, as datetime.now(UTC) + timedelta(hours=1)"
        raise InvalidOptionError(msg)
