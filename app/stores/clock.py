"""The time as it is stored."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present time in UTC, to the millisecond."""


def utc_now() -> datetime:
    """The present time in UTC, cut to whole milliseconds.

    MongoDB keeps milliseconds; a record with microseconds would not equal the one read back, and a page
    key made of it would skip records.
    """
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
