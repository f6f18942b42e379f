"""Call a task's function within its time limits, and store the end of a run that does not end by itself."""

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from queues.errors import StoreUnavailableError, TimeLimitError
from queues.idempotency import envelope
from queues.idempotency.guard import Guard
from queues.idempotency.state import Fail, Kind, State
from queues.idempotency.worker import worker_of
from queues.invocation import invoke
from queues.limits.alarm import AlarmThread
from queues.message import Message
from queues.once import Once
from queues.run import Run
from queues.task import AnyTask

logger = logging.getLogger(__name__)

STUCK_AFTER_S = 1.0
"""A function that has not ended so long after its time limit is said to be stuck."""


class TimedCalls:
    """Calls functions, those of tasks with time limits under an alarm.

    Args:
        publish_following: puts the message of a run that follows on its queue; empty where none does.
    """

    def __init__(self, guard: Guard, publish_following: Callable[[bytes], None]) -> None:
        self._guard = guard
        self._publish_following = publish_following
        self._alarm = AlarmThread(guard.clock)

    def call(self, task: AnyTask, run: Run) -> Any:
        """The task's own result, as `invocation.invoke`.

        Raises:
            TimeLimitError: the run is over; its outcome is stored, or is about to be.
        """
        if not task.time_limits:
            return invoke(task, run)
        self._alarm.time(run, task.time_limits, lambda: self._over(task, run))
        try:
            return invoke(task, run)
        finally:
            self._alarm.forget(run)

    def end_killed(self, message: Message, policy: Once, worker: str, limit_s: float) -> bool:
        """Store that time was over for a run in a process of that name, which is being killed.

        Code that never lets go of Python's interpreter lock keeps its own process from storing it. False when the
        work does not run there any more, or its end is stored already.

        Raises:
            StoreUnavailableError: it is not known.
        """
        store = self._guard.store
        record = store.read(message.digest)
        if record is None or record.state is not State.RUNNING or worker_of(record.execution) != worker:
            return False
        error = TimeLimitError(message.digest, limit_s)
        outcome = envelope.of_failure(envelope.failure_of(error))
        answer = store.apply(message.digest, Fail(record.token, outcome, policy.caches(error), policy.ttl_ms))
        self._publish_following(answer.message)
        return answer.kind is Kind.OK

    def _over(self, task: AnyTask, run: Run) -> None:
        # On a thread of its own: the function's may never come back to store it, and the alarm has others to time.
        if run.lease_ms:
            end = partial(self._end, task, run)
            threading.Thread(target=end, name="onceq-time-limit", daemon=True).start()

    def _end(self, task: AnyTask, run: Run) -> None:
        error = TimeLimitError(run.message.digest, task.time_limits.hard_s or 0.0)
        try:
            self._guard.fail(run, task.policy, error)
        except StoreUnavailableError as exc:
            logger.warning("the end of %s is left to its own thread: %s", run.message.id, exc)
            return
        self._publish_following(run.following)
        self._guard.stopping.wait(STUCK_AFTER_S)
        if run.is_running:
            logger.error("%s does not end: its thread is busy until the code that it calls returns", run.message.id)
