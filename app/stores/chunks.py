"""The collection of chunks: the text of the sources, in pieces, under the token of the run that wrote them.

A run writes its chunks under its own token, then switches the source to them in one write
(`Sources.activate`), then removes those of older tokens. Readers see only the chunks of the source's active
token. So a run that is killed half-way, or a slow one that has lost its lease, shows nothing; and a chunk is
never seen twice or missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.stores.clock import Clock, utc_now
from app.stores.mongo import Document, Index, Mongo
from app.stores.paging import checked_limit
from app.stores.records import Records
from app.stores.source import ActiveSource, Source, SourceStatus
from app.stores.sources import Sources

COLLECTION = "chunks"
INDEXES = (
    # Serves the readers (one run's chunks in order) and the removal of older tokens.
    Index((("source_id", 1), ("token", 1), ("position", 1))),
)
MAX_SWITCHES = 8


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A piece of text that a run found, and where: `page 3`, `row 17`, a heading."""

    position: int
    """Its place among the source's chunks, from 0."""
    text: str
    place: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stored piece of a source's text."""

    id: str
    tenant: str
    chatbot_id: str
    source_id: str
    token: int
    position: int
    text: str
    place: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ChunkPage:
    """Some of a source's chunks in order, and the position to ask for those after them."""

    items: tuple[Chunk, ...]
    next_position: int | None
    """None on the last page."""


class Chunks:
    """The collection `chunks`. Every method may raise StoreUnavailableError."""

    def __init__(self, mongo: Mongo, sources: Sources, clock: Clock = utc_now) -> None:
        self._records = Records(mongo, COLLECTION, Chunk, INDEXES)
        self._sources = sources
        self._clock = clock

    # What the API uses.

    async def list(self, tenant: str, source_id: str, *, limit: int = 50, from_position: int = 0) -> ChunkPage | None:
        """Chunks of a source in their order; None when the source is not this tenant's.

        All chunks of one page are of one run. When the source was read again between two pages, the second
        page continues in the newer text.

        Raises:
            ValueError: `limit` is not between 1 and `MAX_PAGE_RECORDS`.
        """
        checked = checked_limit(limit)
        for _ in range(MAX_SWITCHES):
            source = await self._sources.get(tenant, source_id)
            if source is None:
                return None
            where = {
                "source_id": source_id,
                "token": source.active_token,
                "position": {"$gte": from_position},
            }
            found = await self._records.find(where, sort=(("position", 1),), limit=checked + 1)
            if await self._is_active(source):
                break
        items = found[:checked]
        return ChunkPage(items, items[-1].position + 1 if len(found) > checked else None)

    async def read(self, active: ActiveSource) -> tuple[Chunk, ...] | None:
        """All chunks of one run of a source, in order, for the search index; None when they are outdated.

        Take `active` from `Sources.active`. None means that the source was read again, or removed, since:
        ask for the active ones again.
        """
        where = {"source_id": active.id, "token": active.token}
        found = [chunk async for chunk in self._records.iterate(where, sort=(("position", 1),))]
        # Looked at after the chunks: those of an older run may have been half removed while they were read.
        source = await self._sources.find(active.id)
        return tuple(found) if source is not None and source.active_token == active.token else None

    async def _is_active(self, source: Source) -> bool:
        now = await self._sources.find(source.id)
        return now is None or now.active_token == source.active_token

    # What the tasks use.

    async def write(self, source: Source, token: int, found: Sequence[NewChunk]) -> int:
        """Store chunks of a run, unseen by readers until the source is switched to the run.

        The id of a chunk is made of source, token and position, so the same write again stores nothing.

        Returns:
            How many were stored.
        """
        now = self._clock()
        return await self._records.insert_missing(
            tuple(
                Chunk(
                    id=f"{source.id}:{token}:{chunk.position}",
                    tenant=source.tenant,
                    chatbot_id=source.chatbot_id,
                    source_id=source.id,
                    token=token,
                    position=chunk.position,
                    text=chunk.text,
                    place=chunk.place,
                    created_at=now,
                )
                for chunk in found
            )
        )

    async def remove_older(self, source_id: str, token: int) -> int:
        """Remove the source's chunks of runs older than this one; how many there were.

        Never those of newer runs: one may be writing while this one, already the loser, comes here.
        """
        return await self._records.remove({"source_id": source_id, "token": {"$lt": token}})

    # What cleanup uses.

    async def remove_dead(self, source: Source, limit: int) -> int:
        """Remove at most `limit` chunks of a source that no reader will ever see; 0 when none is left.

        Dead are those of every run but the active one, up to the newest run that the record knows; that one
        too when it has ended. A run that begins after the record was read has a newer token and is spared.
        """
        has_ended = source.status in {SourceStatus.READY, SourceStatus.FAILED, SourceStatus.REMOVED}
        newest = {"$lte": source.token} if has_ended else {"$lt": source.token}
        where: Document = {"source_id": source.id, "token": {"$ne": source.active_token, **newest}}
        return await self._records.remove_batch(where, limit)
