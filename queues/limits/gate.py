"""The step between the right to run and the run: a task's rate and its concurrency.

It comes after `begin`, so that a repetition that the record answers, or that finds the work running, never waits for
a turn and never spends one; and so that a worker that dies at the gate is followed by another within a lease. A run
that may not begin yet gives its right back: no attempt is counted.
"""

import logging
import random
import time

from queues.errors import StoreUnavailableError
from queues.idempotency.state import State
from queues.idempotency.store import Store
from queues.limits.concurrency import Slot
from queues.run import Run
from queues.task import AnyTask

logger = logging.getLogger(__name__)

STORE_AWAY_WAIT_MS = 5_000


class Gate:
    """Lets a run begin when its task's limits allow it."""

    def __init__(self, store: Store) -> None:
        self._store = store

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
            self._store.limiter.free_slot(slot)
        except StoreUnavailableError as exc:
            logger.warning("the slot of %s is free a lease later: %s", run.message.id, exc)

    def _slot(self, task: AnyTask, run: Run) -> int:
        if task.concurrency is None:
            return 0
        name = task.concurrency.slots(task.name, task.bind(run.message.args, run.message.kwargs))
        slot = Slot(name, task.concurrency.limit, run.lease_ms, run.message.digest, run.token)
        answer = self._store.limiter.take_slot(slot, {})
        if answer.ended:
            verified_ms = {member: self._lease_end_ms(member, answer.now_ms) for member in answer.ended}
            answer = self._store.limiter.take_slot(slot, verified_ms)
        if answer.wait_ms:
            # Those that came together do not come again together.
            return round(answer.wait_ms * random.uniform(0.75, 1.25))
        run.slot = slot
        return 0

    def _lease_end_ms(self, member: str, now_ms: int) -> int:
        digest, token = Slot.run_of(member)
        record = self._store.read(digest)
        if record is None or record.state is not State.RUNNING or record.token != token:
            return 0
        return record.until_ms if record.until_ms > now_ms else 0

    def _turn(self, task: AnyTask, run: Run) -> int:
        if task.rate is None:
            return 0
        turn = self._store.limiter.take_turn(task.name, run.message.id, task.rate.interval_us)
        if not turn.is_given:
            return max(1, turn.wait_ms)
        if turn.wait_ms:
            time.sleep(turn.wait_ms / 1000)
        return 0
