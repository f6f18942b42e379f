"""How often a task may begin, over all workers; the pure form of `scripts/rate.lua`.

The generic cell rate algorithm with a burst of one: each start moves the time before which there is no other. A
message that comes too early gets a place in a line, one interval behind the last, and comes again at its place; so a
backlog of thousands waits without asking, each once or twice. Deliveries are never exact: a message that finds its
turn taken, since an earlier one was late, gets a place in a second line, before the long one.

Source: ITU-T I.371, generic cell rate algorithm, virtual scheduling; as a limiter, Brandur Leach, "Rate Limiting,
Cells, and GCRA", 2015.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from queues.errors import InvalidOptionError

PERIODS_US = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}
SHORT_WAIT_US = 200_000
"""A turn that comes so soon is taken at once, and waited for in the worker: cheaper than another delivery, and what
makes up for deliveries that are late."""
PLACE_KEPT_US = 3_600_000_000
"""How long the place of a message that did not come is remembered."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` starts in each second, minute or hour, evenly spaced; `Rate.parsed("100/m")`."""

    count: int
    unit: str

    @classmethod
    def parsed(cls, text: object) -> "Rate":
        """The rate that a text as `10/s`, `100/m` or `1000/h` says.

        Raises:
            InvalidOptionError: it says none.
        """
        found = re.fullmatch(r"([1-9][0-9]{0,5})/([smh])", text) if isinstance(text, str) else None
        if found is None:
            msg = f"rate_limit={text!r}: a whole number from 1 to 999999 by s, m or h, as '10/s', '100/m' or '1000/h'"
            raise InvalidOptionError(msg)
        return cls(int(found[1]), found[2])

    @property
    def interval_us(self) -> int:
        """Microseconds between two starts."""
        return -(-PERIODS_US[self.unit] // self.count)


@dataclass(frozen=True, slots=True)
class Turn:
    """When a message may begin: `is_given`, after a short wait; else it must ask again after it."""

    is_given: bool
    wait_ms: int


@dataclass(frozen=True, slots=True)
class Line:
    """What the store holds of a task's rate, in microseconds.

    Args:
        next_us: no start before.
        last_us: the last place that was given in the line.
        again_us: the last place that was given to a message that had found its turn taken.
        places_us: of each message in either line, by its id.
    """

    next_us: int = 0
    last_us: int = 0
    again_us: int = 0
    places_us: Mapping[str, int] = field(default_factory=dict)


def take_turn(line: Line, message_id: str, interval_us: int, now_us: int) -> tuple[Line, Turn]:
    """Give the message a turn, or a place in the line."""
    places = {name: place for name, place in line.places_us.items() if place > now_us - PLACE_KEPT_US}
    place_us = places.get(message_id)
    has_waited = place_us is not None and place_us <= now_us + SHORT_WAIT_US
    # Turns that nobody took, as those of cancelled work, are not kept from those who come now.
    is_idle = line.next_us + interval_us + SHORT_WAIT_US <= now_us
    is_free = place_us is None and (is_idle or max(line.last_us, line.again_us) <= now_us)
    start_us = max(now_us, line.next_us)
    if (has_waited or is_free) and start_us <= now_us + SHORT_WAIT_US:
        places.pop(message_id, None)
        return replace(line, next_us=start_us + interval_us, places_us=places), Turn(True, _ms(start_us - now_us))
    if has_waited:
        place_us = max(line.again_us + interval_us, line.next_us)
        line = replace(line, again_us=place_us)
    elif place_us is None:
        place_us = max(line.last_us + interval_us, line.again_us + interval_us, line.next_us)
        line = replace(line, last_us=place_us)
    else:  # another copy of a message that waits already
        return replace(line, places_us=places), Turn(False, _ms(place_us - now_us))
    places[message_id] = place_us
    return replace(line, places_us=places), Turn(False, _ms(place_us - now_us))


def _ms(us: int) -> int:
    return max(0, -(-us // 1000))
