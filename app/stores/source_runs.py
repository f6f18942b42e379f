"""What the run of a task writes to a source: each write carries the run's fencing token."""

from app.stores.clock import Clock, utc_now
from app.stores.errors import SourceRemovedError, StaleTokenError
from app.stores.mongo import Document, Mongo
from app.stores.records import Records
from app.stores.source import Outcome, Source, SourceFailure, SourceStatus
from app.stores.sources import COLLECTION, INDEXES


class SourceRuns:
    """The writes of runs to the collection `sources`.

    A write by an older token than the record's changes nothing. Each method may raise StaleTokenError (a
    newer run has begun), SourceRemovedError (the source is gone) and StoreUnavailableError.
    """

    def __init__(self, mongo: Mongo, clock: Clock = utc_now) -> None:
        self._records = Records(mongo, COLLECTION, Source, INDEXES)
        self._clock = clock

    async def begin(self, source_id: str, token: int) -> Source:
        """Mark the source as processing by this run; the record as it then is."""
        await self._write(source_id, token, {"status": SourceStatus.PROCESSING.value})
        source = await self._records.get({"_id": source_id})
        if source is None or source.status is SourceStatus.REMOVED:
            raise SourceRemovedError(source_id)
        return source

    async def activate(self, source_id: str, token: int, outcome: Outcome) -> None:
        """Let readers see the chunks of this run from now on, in one atomic write, and mark it ready."""
        change: Document = {
            "status": SourceStatus.READY.value,
            "active_token": token,
            "error": None,
            "chunks_created": outcome.chunks_created,
            "characters": outcome.characters,
            "pages": outcome.pages,
            "canonical_url": outcome.canonical_url,
            "language": outcome.language,
        }
        for field, value in (("content_hash", outcome.content_hash), ("name", outcome.name)):
            if value is not None:
                change[field] = value
        await self._write(source_id, token, change)

    async def keep(self, source_id: str, token: int) -> None:
        """Mark the source ready as it was: what was read had not changed."""
        await self._write(source_id, token, {"status": SourceStatus.READY.value, "error": None})

    async def fail(self, source_id: str, token: int, failure: SourceFailure) -> None:
        """Mark the source failed; the chunks of an earlier run stay readable."""
        change: Document = {
            "status": SourceStatus.FAILED.value,
            "error": {"code": failure.code, "detail": failure.detail},
        }
        await self._write(source_id, token, change)

    async def wait(self, source_id: str, token: int, failure: SourceFailure) -> None:
        """Mark the source as pending again: an attempt failed, another one will come."""
        change: Document = {
            "status": SourceStatus.PENDING.value,
            "error": {"code": failure.code, "detail": failure.detail},
        }
        await self._write(source_id, token, change)

    async def _write(self, source_id: str, token: int, change: Document) -> None:
        where = {
            "_id": source_id,
            "token": {"$lte": token},
            "status": {"$ne": SourceStatus.REMOVED.value},
        }
        change = {**change, "token": token, "updated_at": self._clock()}
        if await self._records.update(where, {"$set": change}):
            return
        source = await self._records.get({"_id": source_id})
        if source is None or source.status is SourceStatus.REMOVED:
            raise SourceRemovedError(source_id)
        raise StaleTokenError(source_id, token)
