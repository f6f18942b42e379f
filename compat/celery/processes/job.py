"""One run of a task in a child, as Celery's requests see it: what the pool's `apply_async` returns."""

import time
from collections.abc import Callable
from typing import Any

from billiard.einfo import ExceptionInfo
from celery.utils.log import get_logger

logger = get_logger(__name__)


class Job:
    """A call, and the callbacks of Celery's request.

    Args:
        number: names it between the processes.
        soft_limit_s: after so long the task is told.
        hard_limit_s: after so long the child is killed.
    """

    def __init__(
        self,
        number: int,
        call: tuple[Any, Any, Any],
        *,
        accept_callback: Callable[[int, float], Any] | None = None,
        callback: Callable[[Any], Any] | None = None,
        error_callback: Callable[[Any], Any] | None = None,
        timeout_callback: Callable[..., Any] | None = None,
        soft_limit_s: float | None = None,
        hard_limit_s: float | None = None,
    ) -> None:
        self.number = number
        self.call = call
        self.soft_limit_s = soft_limit_s
        self.hard_limit_s = hard_limit_s
        self.timers: list[Any] = []
        self.is_ended = False
        self.terminated_by: int | None = None
        self._accept_callback = accept_callback
        self._callback = callback
        self._error_callback = error_callback
        self._timeout_callback = timeout_callback

    def terminate(self, signum: int) -> None:
        """Celery's request has had the child killed, and says so."""
        self.terminated_by = signum

    def accept(self, pid: int) -> None:
        """A child has it."""
        if self._accept_callback is not None:
            self._call(self._accept_callback, pid, time.monotonic())

    def time_out(self, *, soft: bool) -> None:
        """A time limit has passed."""
        if self._timeout_callback is not None:
            self._call(self._timeout_callback, soft, self.soft_limit_s if soft else self.hard_limit_s)

    def end(self, is_success: bool, value: Any) -> None:
        """Tell what came of it, once."""
        self._cancel_timers()
        if self.is_ended:
            return
        self.is_ended = True
        callback = self._callback if is_success else self._error_callback
        if callback is not None:
            self._call(callback, value)

    def fail(self, error: BaseException) -> None:
        """End it with an error that no child can tell any more."""
        try:
            raise error
        except type(error):
            info = ExceptionInfo()
        self.end(False, info)

    def _cancel_timers(self) -> None:
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()

    def _call(self, callback: Callable[..., Any], *args: Any) -> None:
        try:
            callback(*args)
        except Exception:
            # The next task must not suffer: a result backend that is down raises here.
            logger.exception("Pool callback raised exception")
