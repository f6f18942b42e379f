"""One run of a task over a source: what the source shows while it lasts, and how it ends."""

import asyncio
import logging
from types import TracebackType
from typing import Self

from app.stores.errors import SourceRemovedError, StaleTokenError, StoreError
from app.stores.source import Source, SourceFailure
from app.stores.source_runs import SourceRuns
from queues import Retry, current
from queues.errors import LeaseLostError, TaskCancelledError

logger = logging.getLogger(__name__)

MAX_DETAIL_CHARS = 300
# The record belongs to somebody else now: a newer run, or nobody.
_LOST = (StaleTokenError, SourceRemovedError, LeaseLostError)
_CANCELLED = SourceFailure("cancelled", "The task was cancelled.")


class SourceRun:
    """Marks the source as failed, or as waiting for the next attempt, when the block ends with an error.

    The error goes on to the caller. `begin` marks it as processing. A success is written by the block itself,
    which switches the source to its chunks. Use as `async with`.

    Args of the constructor: where runs are written, the source, the run's fencing token, the errors after
    which no attempt is made again, and whether this is the last attempt.
    """

    def __init__(
        self,
        runs: SourceRuns,
        source: Source,
        token: int,
        *,
        final: tuple[type[Exception], ...],
        is_last: bool,
    ) -> None:
        self._runs = runs
        self._final = final
        self._is_last = is_last
        self.source = source
        self.token = token

    async def begin(self) -> None:
        """Mark the source as processing; from here on older runs write nothing to it.

        Raises:
            StaleTokenError: a newer run has begun.
            SourceRemovedError: the source is gone.
        """
        self.source = await self._runs.begin(self.source.id, self.token)

    def over(self, source: Source) -> "SourceRun":
        """The same run over one more source."""
        return SourceRun(self._runs, source, self.token, final=self._final, is_last=self._is_last)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, _LOST):
            return
        try:
            await self._record(error)
        except StoreError as exc:
            # The error of the block says more than that its trace could not be written.
            logger.warning("how the run over %s ended was not recorded: %s", self.source.id, exc)

    async def _record(self, error: BaseException) -> None:
        source_id, token = self.source.id, self.token
        if isinstance(error, TaskCancelledError) or (
            isinstance(error, asyncio.CancelledError) and current.is_cancelled
        ):
            await self._runs.fail(source_id, token, _CANCELLED)
        elif not isinstance(error, Exception):
            # The lease is lost or the process goes down: another run takes over, and writes then.
            return
        elif isinstance(error, self._final) or (self._is_last and not isinstance(error, Retry)):
            await self._runs.fail(source_id, token, failure_of(error))
        else:
            await self._runs.wait(source_id, token, failure_of(error))


def failure_of(error: Exception) -> SourceFailure:
    """What the owner of a source is told of an error: its code, and its text when that is meant for reading."""
    if isinstance(error, Retry) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    code = getattr(error, "code", None)
    if code is None:
        # Paths and addresses of the machine are in such texts; the log has them.
        return SourceFailure("internal_error", f"The source could not be processed ({type(error).__name__}).")
    detail = getattr(error, "detail", None)
    return SourceFailure(str(code), (detail if isinstance(detail, str) else str(error))[:MAX_DETAIL_CHARS])
