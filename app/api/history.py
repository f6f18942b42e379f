"""Who submitted what: kept in Redis when it is submitted, in MongoDB a moment later, and found in either."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from app.stores.errors import StoreRejectedError, StoreUnavailableError
from app.stores.history_backlog import MAX_TOGETHER, Entry, HistoryBacklog, Submission
from app.stores.redis import Call, RedisUnavailableError
from app.stores.task_history import TaskHistory, TaskRecord

GATHERED_S = 0.1
"""How long submissions wait for others that are written in the same round trip."""
PAUSE_S = 2.0
"""Between two looks for what other processes left, and after a failure."""
CLOSE_WITHIN_S = 1.0

_LOG = logging.getLogger(__name__)


class History:
    """The submissions of all tenants.

    Args of the constructor: what is to be written, and where.
    """

    def __init__(self, backlog: HistoryBacklog, written: TaskHistory) -> None:
        self._backlog = backlog
        self._written = written
        self._woken = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    def adding(self, submission: Submission) -> Call:
        """The call to Redis that adds a submission; once it is made, nothing loses it."""
        self._woken.set()
        return self._backlog.putting(submission)

    async def find(self, tenant: str, task_id: str) -> TaskRecord | None:
        """The record of a task that this tenant submitted; None when it did not.

        Raises:
            StoreUnavailableError: MongoDB does not answer, and Redis does not hold the task.
            RedisUnavailableError: Redis does not answer.
        """
        try:
            await self.settle()
            record = await self._written.get(tenant, task_id)
        except StoreUnavailableError:
            if (entry := await self._backlog.get(tenant, task_id)) is None:
                raise
            return TaskRecord.of(entry)
        if record is None and (entry := await self._backlog.get(tenant, task_id)) is not None:
            return TaskRecord.of(entry)
        return record

    async def settle(self) -> None:
        """Return when what was submitted until now is in MongoDB, but for what MongoDB refused.

        Raises:
            StoreUnavailableError, RedisUnavailableError: it cannot be known.
        """
        if self._writing is not None:
            # It may have looked before what we wait for was there. When it fails, so would we.
            await asyncio.shield(self._writing)
        await self._write()

    async def go_on_writing(self) -> None:
        """Write what comes, and what other processes left; goes on until it is cancelled."""
        while True:
            try:
                await self._write(in_turn=True)
            except (StoreUnavailableError, RedisUnavailableError) as exc:
                _LOG.warning("the history is written later: %s", exc)
                await asyncio.sleep(PAUSE_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), PAUSE_S)
            await asyncio.sleep(GATHERED_S)
            self._woken.clear()

    async def close(self) -> None:
        """Write what is left, if that takes no longer than a second: another process or the next start can do it."""
        with contextlib.suppress(StoreUnavailableError, RedisUnavailableError, TimeoutError):
            await asyncio.wait_for(self.settle(), CLOSE_WITHIN_S)
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])

    async def _write(self, *, in_turn: bool = False) -> None:
        """Write what is there; who asks meanwhile waits for the same."""
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all(in_turn=in_turn))
            self._writing.add_done_callback(self._wrote)
        # Whoever is cancelled leaves the others theirs.
        await asyncio.shield(self._writing)

    def _wrote(self, writing: asyncio.Task[None]) -> None:
        self._writing = None
        if not writing.cancelled():
            writing.exception()  # perhaps nobody waits any more

    async def _write_all(self, *, in_turn: bool) -> None:
        while entries := await self._backlog.read(in_turn=in_turn):
            written = await self._accepted(entries)
            if written:
                await self._backlog.remove(written)
            if not written or len(entries) < MAX_TOGETHER:
                return

    async def _accepted(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Write entries; those that MongoDB took. The others stay, and hold up nobody."""
        try:
            await self._written.write(entries)
        except StoreRejectedError as exc:
            if len(entries) == 1:
                _LOG.error("MongoDB refuses the history of %s: %s", entries[0].submission.task_id, exc)
                return []
            return [entry for each in entries for entry in await self._accepted([each])]
        return entries
