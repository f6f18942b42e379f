"""Which of the tasks that wait in a queue goes first."""

from enum import IntEnum

from queues.errors import InvalidOptionError

MAX_PRIORITY = 9


class Priority(IntEnum):
    """Names for three of the ten priorities; a plain int from 0 to 9 is as good, and higher goes first.

    Redis keeps a queue as a few lists: there 7 to 9, 4 to 6 and what is below are each served in the order of arrival.
    """

    LOW = 1
    NORMAL = 5
    HIGH = 9


def checked_priority(value: object) -> int:
    """The priority as a plain int.

    Raises:
        InvalidOptionError: it is no int from 0 to 9.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_PRIORITY:
        msg = f"priority={value!r}: an int from 0 to {MAX_PRIORITY}, or Priority.LOW, NORMAL or HIGH"
        raise InvalidOptionError(msg)
    return int(value)
