"""Dates in expressions: their parts, their text, their truncation. Always UTC; another zone is refused."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import DatetimeMS, ObjectId

from app.embedded.mongo.errors import BadValueError, CommandNotSupportedError, FailedToParseError, TypeMismatchError
from app.embedded.mongo.paths import MISSING

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_FORMAT = "%Y-%m-%dT%H:%M:%S.%LZ"


def moment(value: Any) -> datetime:
    """A BSON date, or the time in an ObjectId, as an aware datetime.

    Raises:
        TypeMismatchError: it is neither.
        BadValueError: outside of the years 1 to 9999.
    """
    if isinstance(value, ObjectId):
        return value.generation_time
    if not isinstance(value, DatetimeMS):
        msg = f"can't convert from BSON type {type(value).__name__} to Date"
        raise TypeMismatchError(msg)
    try:
        return _EPOCH + int(value) * _MS
    except OverflowError:
        raise BadValueError("the date is outside of the years 1 to 9999") from None


def as_text(value: Any, text_format: str = _FORMAT) -> str:
    """The date's text in MongoDB's format letters (`%Y %m %d %H %M %S %L %j %u %w %V %G %z %%`)."""
    when = moment(value)

    def letter(found: re.Match[str]) -> str:
        writer = _LETTERS.get(found[1])
        if writer is None:
            msg = f"Invalid format character '%{found[1]}' in format string"
            raise BadValueError(msg)
        return writer(when)

    return re.sub(r"%(.?)", letter, text_format, flags=re.DOTALL)


def to_string(arguments: dict[str, Any]) -> Any:
    """`$dateToString` with `date`, `format`, `timezone` (UTC) and `onNull`."""
    _check(arguments, {"date"}, {"format", "timezone", "onNull"})
    if arguments["date"] in (None, MISSING):
        return arguments.get("onNull")
    text_format = arguments.get("format", _FORMAT)
    if not isinstance(text_format, str):
        raise FailedToParseError("$dateToString requires that 'format' be a string")
    return as_text(arguments["date"], text_format)


def truncate(arguments: dict[str, Any]) -> Any:
    """`$dateTrunc` with `date`, `unit` (year to second), `binSize` 1 and `startOfWeek` Sunday or Monday."""
    _check(arguments, {"date", "unit"}, {"binSize", "timezone", "startOfWeek"})
    if arguments.get("binSize", 1) != 1:
        raise CommandNotSupportedError("$dateTrunc with a binSize other than 1 is not supported by this server")
    if arguments["date"] in (None, MISSING):
        return None
    when = moment(arguments["date"])
    unit = arguments["unit"]
    midnight = when.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "week":
        first = str(arguments.get("startOfWeek", "sunday")).lower()
        if first not in ("sunday", "sun", "monday", "mon"):
            raise CommandNotSupportedError("startOfWeek other than Sunday or Monday is not supported")
        back = when.weekday() if first.startswith("mon") else when.isoweekday() % 7
        return _date(midnight - timedelta(days=back))
    cuts: dict[str, Callable[[], datetime]] = {
        "year": lambda: midnight.replace(month=1, day=1),
        "quarter": lambda: midnight.replace(month=(when.month - 1) // 3 * 3 + 1, day=1),
        "month": lambda: midnight.replace(day=1),
        "day": lambda: midnight,
        "hour": lambda: when.replace(minute=0, second=0, microsecond=0),
        "minute": lambda: when.replace(second=0, microsecond=0),
        "second": lambda: when.replace(microsecond=0),
    }
    if unit not in cuts:
        msg = f"unknown time unit value: {unit!r}"
        raise FailedToParseError(msg)
    return _date(cuts[unit]())


def _date(when: datetime) -> DatetimeMS:
    return DatetimeMS((when - _EPOCH) // _MS)


def _check(arguments: dict[str, Any], needed: set[str], optional: set[str]) -> None:
    if not needed <= set(arguments) <= needed | optional:
        msg = f"the arguments must be {sorted(needed)} and may be {sorted(optional)}, not {sorted(arguments)}"
        raise FailedToParseError(msg)
    if arguments.get("timezone", "UTC") not in ("UTC", "GMT", "Etc/UTC", "+00:00", "Z", None, MISSING):
        raise CommandNotSupportedError("a timezone other than UTC is not supported by this server")


_LETTERS: dict[str, Callable[[datetime], str]] = {
    "Y": lambda when: f"{when.year:04}",
    "m": lambda when: f"{when.month:02}",
    "d": lambda when: f"{when.day:02}",
    "H": lambda when: f"{when.hour:02}",
    "M": lambda when: f"{when.minute:02}",
    "S": lambda when: f"{when.second:02}",
    "L": lambda when: f"{when.microsecond // 1000:03}",
    "j": lambda when: f"{when.timetuple().tm_yday:03}",
    "u": lambda when: str(when.isoweekday()),
    "w": lambda when: str(when.isoweekday() % 7 + 1),
    "V": lambda when: f"{when.isocalendar().week:02}",
    "G": lambda when: f"{when.isocalendar().year:04}",
    "z": lambda _: "+0000",
    "%": lambda _: "%",
}

PARTS: dict[str, Callable[[Any], int]] = {
    "year": lambda value: moment(value).year,
    "month": lambda value: moment(value).month,
    "dayOfMonth": lambda value: moment(value).day,
    "hour": lambda value: moment(value).hour,
    "minute": lambda value: moment(value).minute,
    "second": lambda value: moment(value).second,
    "millisecond": lambda value: moment(value).microsecond // 1000,
    "dayOfWeek": lambda value: moment(value).isoweekday() % 7 + 1,
    "dayOfYear": lambda value: moment(value).timetuple().tm_yday,
    "isoWeek": lambda value: moment(value).isocalendar().week,
    "isoWeekYear": lambda value: moment(value).isocalendar().year,
    "isoDayOfWeek": lambda value: moment(value).isoweekday(),
}
