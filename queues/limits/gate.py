"""The step between the right to run and the run: a task's rate and its concurrency.

It comes after `begin`, so that a repetition that the record answers, or that finds the work running, never waits for
a turn and never spends one; and so that a worker that dies at the gate is followed by another within a lease. A run
that may not begin yet gives its right back: no attempt is counted.
"""

import logging
import random
from collections.abc import Callable

from queues.errors import StoreUnavailableError
from queues.limits.concurrency import Slot
from queues.limits.limiter import Limiter
from queues.run import Run
from queues.task import AnyTask

logger = logging.getLogger(__name__)

STORE_AWAY_WAIT_MS = 5_000


class Gate:
    """Lets a run begin when its task's limits allow it.

    Args:
        pause: lets so many seconds pass; for a turn that comes at once.
    """

    def __init__(self, limiter: Limiter, pause: Callable[[float], object]) -> None:
        self._limiter = limiter
        self._pause = pause

    def enter(self, task: AnyTask, run: Run) -> int:
        """0 when the run may begin now, else the ms after which its message should come again.

        Raises:
            UnencodableError, InvalidArgumentsError: the arguments name no slots.
            Exception: whatever the task's own function `per` raises.
        """
        try:
            return self._slot(task, run) or self._turn(task, run)
        except StoreUnavailableError as exc:
            logger.warning("%s waits, since nobody knows its limits: %s", run.message.id, exc)
            return STORE_AWAY_WAIT_MS

    def leave(self, run: Run) -> None:
        """Free the slot of a run that has ended; when the store does not answer, it ends with its lease."""
        slot, run.slot = run.slot, None
        if slot is None:
            return
        try:
            self._limiter.free_slot(slot)
        except StoreUnavailableError as exc:
            logger.warning("the slot of %s is free a lease later: %s", run.message.id, exc)

    def _slot(self, task: AnyTask, run: Run) -> int:
        if task.concurrency is None:
            return 0
        name = task.concurrency.slots(task.name, task.bind(run.message.args, run.message.kwargs))
        slot = Slot(name, task.concurrency.limit, run.lease_ms, run.message.id, run.token)
        if wait_ms := self._limiter.take_slot(slot):
            return round(wait_ms * random.uniform(0.75, 1.25))  # those that came together do not come again together
        run.slot = slot
        return 0

    def _turn(self, task: AnyTask, run: Run) -> int:
        if task.rate is None:
            return 0
        turn = self._limiter.take_turn(task.name, run.message.id, task.rate.interval_us)
        if not turn.is_given:
            return max(1, turn.wait_ms)
        if turn.wait_ms:
            self._pause(turn.wait_ms / 1000)
        return 0
