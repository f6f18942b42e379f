"""Submits what is due by the clock. However many schedulers do so, of whichever backend, each moment's work runs once.

The last moment that was submitted is remembered beside the records, so every scheduler goes on where another ended.
Time is the store's own: a scheduler whose clock is wrong looks too often or a little late, and submits nothing wrong.
"""

import logging

from queues.errors import BrokerUnavailableError, QueueError, StoreUnavailableError
from queues.idempotency.store import Store
from queues.schedule import Schedule
from queues.tasks import Tasks

logger = logging.getLogger(__name__)

MOST_CAUGHT_UP = 100
LATE_MS = 60_000
"""From when on a moment counts as missed."""
LONGEST_SLEEP_S = 60.0
"""So that a clock that is set, or a schedule's line at a change of the clocks, costs a minute at most."""
TRY_AGAIN_S = 1.0


class Ticker:
    """Submits the moments of the schedules that were declared with `tasks`."""

    def __init__(self, tasks: Tasks, store: Store) -> None:
        self._tasks = tasks
        self._store = store

    def tick(self) -> float:
        """Submit what is due; after how many seconds to look again.

        While Redis or the broker does not answer, what is due stays due, and is tried again within a second.
        """
        if not self._tasks.schedules:
            return LONGEST_SLEEP_S
        try:
            last_ms, now_ms = self._store.ticks()
            for schedule in self._tasks.schedules:
                self._tick(schedule, last_ms.get(schedule.name), now_ms)
        except (StoreUnavailableError, BrokerUnavailableError) as exc:
            logger.warning("the schedules are looked at again in %g s: %s", TRY_AGAIN_S, exc)
            return TRY_AGAIN_S
        following = [schedule.next_ms(now_ms) for schedule in self._tasks.schedules]
        waits_s = [(next_ms - now_ms) / 1000 for next_ms in following if next_ms is not None]
        return min([LONGEST_SLEEP_S, *waits_s])

    def _tick(self, schedule: Schedule, last_ms: int | None, now_ms: int) -> None:
        if last_ms is None:
            # It begins now: there is nothing that it could have missed.
            self._store.ticked(schedule.name, now_ms)
            return
        limit = MOST_CAUGHT_UP if schedule.catch_up == "all" else 1
        missed = schedule.moments_ms(last_ms, now_ms, limit + 1)
        due = missed[-limit:]
        if schedule.catch_up == "none":
            due = [moment_ms for moment_ms in due if now_ms - moment_ms < LATE_MS]
        if len(due) < len(missed):
            logger.warning("%s: older moments than the newest %d were missed", schedule.name, len(due))
        for moment_ms in due:
            self._submit(schedule, moment_ms)
        if missed and not due:
            self._store.ticked(schedule.name, missed[-1])

    def _submit(self, schedule: Schedule, moment_ms: int) -> None:
        key = schedule.key(moment_ms)
        try:
            handle = self._tasks.get(schedule.task).send_with_options(kwargs=schedule.arguments(moment_ms), key=key)
        except (StoreUnavailableError, BrokerUnavailableError):
            raise
        except QueueError:
            # Another scheduler's arguments differ, or it runs already: to ask again would bring no other answer.
            logger.exception("%s was refused", key)
        else:
            logger.info("%s: %s %s", key, handle.decision.value, handle.id)
        self._store.ticked(schedule.name, moment_ms)
