"""What runs by the clock: a declaration, and the moments that it names."""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any, Literal
from zoneinfo import ZoneInfo

from queues.errors import InvalidOptionError

CatchUp = Literal["last", "all", "none"]
CATCH_UPS = ("last", "all", "none")
CRON_FIELDS = 5
SHORTEST_INTERVAL = timedelta(seconds=1)
LONGEST_SHIFT = timedelta(hours=2)
"""No zone's clock is ever put back by more."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a task is submitted, and what with.

    Each moment is a key of its own: whoever submits it, and however late, the task takes effect once for it.

    Args:
        name: what the moments are remembered under; to change it is to begin anew.
        when: a cron line of five fields, or an interval; intervals are counted from 1970, so that every scheduler
            means the same moments.
        timezone: in which the cron line is meant. A local time that a change of the clocks leaves out comes when the
            clocks have changed, and one that comes twice counts the first time; a line whose hours begin with a
            star goes by the time that passes. So Debian's cron does it.
        catch_up: what becomes of moments while no scheduler ran: `last` submits the newest of them, `all` each one,
            at most a hundred, and `none` drops those that are a minute old.
        moment: the task's parameter that is given the moment, as a datetime in the schedule's time zone.

    Raises:
        InvalidOptionError: one of these cannot be used.
    """

    name: str
    task: str
    when: str | timedelta
    timezone: str = "UTC"
    catch_up: CatchUp = "last"
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    moment: str | None = None

    def __post_init__(self) -> None:
        if self.catch_up not in CATCH_UPS:
            msg = f"catch_up={self.catch_up!r} of {self.name}: one of {', '.join(CATCH_UPS)}"
            raise InvalidOptionError(msg)
        _zone(self.name, self.timezone)
        if isinstance(self.when, timedelta):
            if self.when < SHORTEST_INTERVAL or self.when.microseconds % 1000:
                msg = f"{self.when!r} of {self.name}: an interval of a second or more, in whole milliseconds"
                raise InvalidOptionError(msg)
        elif len(str(self.when).split()) != CRON_FIELDS:
            msg = f"{self.when!r} of {self.name}: a cron line of five fields, or a timedelta"
            raise InvalidOptionError(msg)
        else:
            _check_cron(self.name, self.when)

    def key(self, moment_ms: int) -> str:
        """The idempotency key of the work of one moment."""
        moment = datetime.fromtimestamp(moment_ms / 1000, UTC)
        unit = "milliseconds" if moment.microsecond else "seconds" if moment.second else "minutes"
        return f"tick:{self.name}:{moment.replace(tzinfo=None).isoformat(timespec=unit)}Z"

    def arguments(self, moment_ms: int) -> dict[str, Any]:
        """What the task is given for one moment."""
        given = dict(self.kwargs)
        return given if self.moment is None else given | {self.moment: _local(moment_ms, self.timezone)}

    def moments_ms(self, after_ms: int, until_ms: int, limit: int) -> list[int]:
        """The newest `limit` moments after the one and until the other, the oldest first; ms since the Unix epoch."""
        if isinstance(self.when, timedelta):
            interval_ms = self.when // timedelta(milliseconds=1)
            newest_first = iter(range(until_ms // interval_ms * interval_ms, 0, -interval_ms))
        else:
            newest_first = _backward(self.when, self.timezone, until_ms)
        return list(islice(takewhile(lambda moment_ms: moment_ms > after_ms, newest_first), limit))[::-1]

    def next_ms(self, after_ms: int) -> int | None:
        """The first moment after that one; None when there is none within fifty years."""
        if isinstance(self.when, timedelta):
            interval_ms = self.when // timedelta(milliseconds=1)
            return (after_ms // interval_ms + 1) * interval_ms
        forward = map(_ms, _cron(self.when, _local(after_ms, self.timezone)))
        return next((moment_ms for moment_ms in forward if moment_ms > after_ms), None)


def _zone(name: str, timezone: str) -> None:
    try:
        ZoneInfo(timezone)
    except (LookupError, ValueError, OSError, TypeError) as exc:
        msg = f"timezone={timezone!r} of {name}: a name such as Europe/Berlin, of the time zone database, is expected"
        raise InvalidOptionError(msg) from exc


def _check_cron(name: str, line: str) -> None:
    try:
        module: Any = importlib.import_module("cronsim")
    except ModuleNotFoundError as exc:
        msg = f"{name}: a cron line needs the package cronsim, which the extras of every backend bring"
        raise InvalidOptionError(msg) from exc
    try:
        comes = any(True for _ in module.CronSim(line, datetime(2024, 1, 1, tzinfo=UTC)))
    except module.CronSimError as exc:
        msg = f"{line!r} of {name} is no cron line: {exc}"
        raise InvalidOptionError(msg) from exc
    if not comes:
        msg = f"{line!r} of {name} names no moment of the next fifty years"
        raise InvalidOptionError(msg)


def _backward(line: str, timezone: str, until_ms: int) -> Iterator[int]:
    # A moment within a second stands for the next one, so that the second itself is looked at, too.
    begin = _local(until_ms // 1000 * 1000, timezone).replace(microsecond=1)
    if begin.fold:
        # The local time comes a second time: its first coming is behind it, and yet not below it.
        begin = (begin.astimezone(UTC) + LONGEST_SHIFT).astimezone(begin.tzinfo)
    newer_ms = until_ms + 1
    for moment_ms in map(_ms, _cron(line, begin, reverse=True)):
        # Two local times that were left out together come at the same moment.
        if moment_ms < newer_ms:
            newer_ms = moment_ms
            yield moment_ms


def _cron(line: str, begin: datetime, *, reverse: bool = False) -> Iterator[datetime]:
    # Not imported above: the library by itself needs no package for this.
    module: Any = importlib.import_module("cronsim")
    moments: Iterator[datetime] = module.CronSim(line, begin, reverse=reverse)
    return moments


def _local(moment_ms: int, timezone: str) -> datetime:
    zone = UTC if timezone == "UTC" else ZoneInfo(timezone)
    return datetime.fromtimestamp(moment_ms / 1000, zone)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
