"""What is past its retention is removed, in batches, as often as one likes."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from app.stores.clock import utc_now
from app.stores.errors import UploadPathError
from app.stores.source import Source
from app.tasks.arguments import checked_number
from app.tasks.errors import TaskInputError
from app.tasks.services import Services
from queues import Backoff, Tasks, current
from queues.task import AnyTask

MAX_RETRIES = 2
MAX_DAYS = 36_500
# Small enough that no removal holds up the database for long, or runs past a lease.
BATCH_RECORDS = 500
BATCH_SOURCES = 100


@dataclass(slots=True)
class Removed:
    """How many of each kind were removed."""

    sources: int = 0
    files: int = 0
    chunks: int = 0
    notifications: int = 0
    reports: int = 0
    tasks: int = 0


def declare(tasks: Tasks, services: Services) -> AnyTask:
    """The task `cleanup_old_data`, working with these services."""

    @tasks.task(queue="maintenance", max_retries=MAX_RETRIES, backoff=Backoff(60), give_up_on=(TaskInputError,))
    async def cleanup_old_data(days: int = 30) -> dict[str, object]:
        """How many sources, files, chunks, notifications, reports and tasks were removed.

        Removed are: sources that were removed, or failed without ever having succeeded, with their file and
        chunks; chunks that no reader sees; files of no source; notifications, reports and the history of
        tasks. Chunks that no reader sees go whatever their age, all else when it is older than `days`. A
        ready source stays. Stopped half-way and run again, it goes on.

        Args:
            days: what is younger is kept; 1 to 36,500.

        Raises:
            TaskInputError: `days` is not such a number; nothing is removed.
        """
        now = utc_now()
        before = now - timedelta(days=checked_number("days", days, 1, MAX_DAYS))
        removed = Removed()
        await _remove_sources(services, before, removed)
        await _remove_dead_chunks(services, removed)
        stores = services.stores
        removed.notifications = await _drain(stores.notifications.remove_before, before, "notifications")
        removed.reports = await _drain(stores.reports.remove_before, before, "reports")
        removed.tasks = await _drain(stores.task_history.remove_before, before, "tasks")
        await _remove_orphans(services, before, removed)
        return {"status": "success", "days": days, "removed": asdict(removed)}

    return cleanup_old_data


async def _remove_sources(services: Services, before: datetime, removed: Removed) -> None:
    sources = services.stores.sources
    while ended := await sources.ended_before(before, BATCH_SOURCES):
        gone = 0
        for source in ended:
            # Chunks first, because they are found through the record; the file last, because a file without
            # a record is found by itself.
            await _remove_chunks(services, source, removed)
            if await sources.delete(source):
                gone += 1
                if source.path is not None:
                    await _remove_file(services, source.path, before, removed)
        removed.sources += gone
        if gone == 0:
            # All of the batch were written meanwhile: they are no longer old.
            return


async def _remove_dead_chunks(services: Services, removed: Removed) -> None:
    async for source in _all_sources(services):
        await _remove_chunks(services, source, removed)


async def _all_sources(services: Services) -> AsyncIterator[Source]:
    last = ""
    while batch := await services.stores.sources.after(last, BATCH_SOURCES):
        for source in batch:
            yield source
        last = batch[-1].id


async def _remove_chunks(services: Services, source: Source, removed: Removed) -> None:
    _beat(removed.chunks, "chunks")
    while count := await services.stores.chunks.remove_dead(source, BATCH_RECORDS):
        removed.chunks += count
        _beat(removed.chunks, "chunks")


async def _drain(remove: Callable[[datetime, int], Awaitable[int]], before: datetime, what: str) -> int:
    total = 0
    while count := await remove(before, BATCH_RECORDS):
        total += count
        _beat(total, what)
    return total


async def _remove_orphans(services: Services, before: datetime, removed: Removed) -> None:
    """Remove old files that belong to no source: an upload that broke off, or whose source is gone."""
    old = services.uploads.older_than(before.timestamp())
    while batch := await asyncio.to_thread(lambda: list(itertools.islice(old, BATCH_SOURCES))):
        for path in batch:
            _beat(removed.files, "files")
            await _remove_file(services, path, before, removed)


async def _remove_file(services: Services, path: str, before: datetime, removed: Removed) -> None:
    """Remove a file unless a source has it, or it was written since: the same upload may have come again."""
    if await services.stores.sources.find_by_path(path) is not None:
        return
    try:
        removed.files += await asyncio.to_thread(services.uploads.remove_old, path, before.timestamp())
    except UploadPathError:
        # Not a file of ours, whatever the record says: it is left alone.
        return


def _beat(done: int, what: str) -> None:
    """Say how far it is, and stop when the lease is lost or somebody cancelled."""
    current.progress(done, None, f"removing {what}")
    current.check()
