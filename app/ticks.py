"""One tick of the clock: a schedule's task is submitted, under a key that names the schedule and the minute.

Whichever schedulers tick, beat or periodiq, one or several, those of one minute submit the same work: it runs once.
"""

import logging
import time
from datetime import UTC, datetime

from app.schedules import Schedule
from queues import Handle, Tasks
from queues.errors import BrokerUnavailableError, StoreUnavailableError

_LOG = logging.getLogger(__name__)

TRY_FOR_S = 600.0
"""How long a tick is tried again while Redis or the broker does not answer."""
PAUSE_S = 1.0


def tick_key(name: str, now: datetime) -> str:
    """The key of the work of this schedule in this minute.

    Each scheduler takes the minute from its own clock, which is the one that woke it, so a difference of some
    seconds between two machines makes no second run.
    """
    return f"tick:{name}:{now.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def submit_tick(
    tasks: Tasks,
    name: str,
    schedule: Schedule,
    now: datetime | None = None,
    *,
    try_for_s: float = TRY_FOR_S,
    pause_s: float = PAUSE_S,
) -> Handle:
    """Submit the schedule's task for this minute; the handle to it, or to the one of another scheduler.

    Without Redis or the broker it is tried again for `try_for_s` seconds: a tick that is missed comes again only
    a day later.

    Args:
        name: of the schedule, as `by_name` gives it.
        now: the moment of the tick; the system's clock when None.

    Raises:
        StoreUnavailableError, BrokerUnavailableError: still no answer; the tick is lost.
        QueueError: the submission was refused.
    """
    task = tasks.get(schedule.task)
    key = tick_key(name, now or datetime.now(UTC))
    deadline = time.monotonic() + try_for_s
    while True:
        try:
            handle = task.send_with_options(kwargs=dict(schedule.kwargs), key=key)
        except (StoreUnavailableError, BrokerUnavailableError) as exc:
            if time.monotonic() > deadline:
                raise
            _LOG.warning("%s is tried again: %s", key, exc)
            time.sleep(pause_s)
        else:
            _LOG.info("%s: %s %s", key, handle.decision.value, handle.id)
            return handle
