"""One thread a process tells running tasks that their time is over, to the millisecond and without any server."""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

from queues.clock import Clock
from queues.limits.times import TimeLimits
from queues.run import Run

logger = logging.getLogger(__name__)

LONGEST_LOOK_MS = 250
AGAIN_AFTER_MS = 20
"""When the function has not begun by its own limit."""


@dataclass(slots=True)
class _Timed:
    run: Run
    limit_s: float
    soft_ms: float
    hard_ms: float
    on_over: Callable[[], None]

    @property
    def due_ms(self) -> float:
        return min(self.soft_ms, self.hard_ms)


NEVER = float("inf")


class AlarmThread:
    """Reminds the runs that it times at their soft limit, and ends them at their hard one.

    The thread starts with the first such run, so that a process may fork before. A child of a fork starts its own.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._timed: dict[int, _Timed] = {}
        self._thread: threading.Thread | None = None

    def time(self, run: Run, limits: TimeLimits, on_over: Callable[[], None]) -> None:
        """Count the run's time from now on, until `forget`.

        Args:
            on_over: called when the run was ended by its hard limit; must not block.
        """
        if self._pid != os.getpid():
            self._reset()
        now_ms = self._clock.monotonic_ms()
        soft_ms = NEVER if limits.soft_s is None else now_ms + limits.soft_s * 1000
        hard_ms = NEVER if limits.hard_s is None else now_ms + limits.hard_s * 1000
        with self._changed:
            self._timed[id(run)] = _Timed(run, limits.hard_s or 0.0, soft_ms, hard_ms, on_over)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="onceq-alarm", daemon=True)
                self._thread.start()
            self._changed.notify()

    def forget(self, run: Run) -> None:
        """Leave the run alone."""
        with self._changed:
            self._timed.pop(id(run), None)

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._timed = {}
        self._thread = None

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait(self._pause_s())
                now_ms = self._clock.monotonic_ms()
                due = [timed for timed in self._timed.values() if timed.due_ms <= now_ms]
            for timed in due:
                self._ring(timed, now_ms)

    def _ring(self, timed: _Timed, now_ms: int) -> None:
        is_over = timed.hard_ms <= now_ms
        if not (timed.run.end(timed.limit_s) if is_over else timed.run.remind()):
            # Its function has not begun, or has ended: then it is forgotten in a moment.
            timed.soft_ms = timed.soft_ms if is_over else now_ms + AGAIN_AFTER_MS
            timed.hard_ms = now_ms + AGAIN_AFTER_MS if is_over else timed.hard_ms
            return
        timed.soft_ms = NEVER
        if not is_over:
            logger.warning("%s has run for its soft time limit", timed.run.message.id)
            return
        timed.hard_ms = NEVER
        logger.warning("%s has run for its time limit of %g s: it is ended", timed.run.message.id, timed.limit_s)
        timed.on_over()

    def _pause_s(self) -> float | None:
        if not self._timed:
            return None
        due_ms = min(timed.due_ms for timed in self._timed.values()) - self._clock.monotonic_ms()
        return max(0.0, min(due_ms, LONGEST_LOOK_MS)) / 1000
