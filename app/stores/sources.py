"""The collection of sources: the documents and websites that an owner put in."""

from dataclasses import replace
from datetime import datetime
from typing import Literal

from app.fetch.url import normalize
from app.stores.clock import Clock, utc_now
from app.stores.errors import RecordExistsError, SourceRemovedError
from app.stores.mongo import Document, Index, Mongo
from app.stores.paging import Page, PageKey
from app.stores.records import Records
from app.stores.source import (
    ActiveSource,
    Source,
    SourceKind,
    SourceStatus,
    document_id,
    website_id,
)

COLLECTION = "sources"
INDEXES = (
    Index((("tenant", 1), ("created_at", -1), ("_id", -1))),
    Index((("tenant", 1), ("chatbot_id", 1), ("created_at", -1), ("_id", -1))),
    Index((("path", 1),)),
    Index((("status", 1), ("updated_at", 1))),
)
MAX_GENERATIONS = 1000


class Sources:
    """The collection `sources`; what a task's run writes to it is in `SourceRuns`.

    What the API asks for is by owner (`tenant`). Every method may raise StoreUnavailableError.
    """

    def __init__(self, mongo: Mongo, clock: Clock = utc_now) -> None:
        self._records = Records(mongo, COLLECTION, Source, INDEXES)
        self._clock = clock

    # What the API uses.

    async def add_document(
        self, tenant: str, chatbot_id: str, *, name: str, path: str, content_hash: str, size_bytes: int
    ) -> Source:
        """The pending record of an upload, or the one that the same upload made before.

        Called twice, or at the same time, it gives the same record. After the record was removed, the same
        upload gets a new id, so that its tasks are new ones too.

        Args:
            tenant: the owner.
            chatbot_id: the chatbot that the document is for.
            name: the file's name as uploaded.
            path: where the file is kept, relative to the uploads folder.
            content_hash: SHA-256 of the file's bytes, in hex.
            size_bytes: the file's size.
        """
        now = self._clock()
        return await self._add(
            Source(
                id=document_id(tenant, chatbot_id, content_hash, name),
                tenant=tenant,
                chatbot_id=chatbot_id,
                kind=SourceKind.DOCUMENT,
                name=name,
                path=path,
                content_hash=content_hash,
                size_bytes=size_bytes,
                created_at=now,
                updated_at=now,
            )
        )

    async def add_website(self, tenant: str, chatbot_id: str, url: str) -> Source:
        """The record of a web page, pending when it is new; called twice it gives the same one.

        Args:
            tenant: the owner.
            chatbot_id: the chatbot that the page is for.
            url: kept, and told apart from others, as `app.fetch.url.normalize` spells it.

        Raises:
            InvalidUrlError: it is not a URL that can be fetched.
        """
        url = normalize(url)
        now = self._clock()
        return await self._add(
            Source(
                id=website_id(tenant, chatbot_id, url),
                tenant=tenant,
                chatbot_id=chatbot_id,
                kind=SourceKind.WEBSITE,
                name=url,
                url=url,
                created_at=now,
                updated_at=now,
            )
        )

    async def get(self, tenant: str, source_id: str) -> Source | None:
        """The source, or None when it is not this tenant's or was removed."""
        source = await self._records.get({"_id": source_id, "tenant": tenant})
        return None if source is None or source.status is SourceStatus.REMOVED else source

    async def list(
        self,
        tenant: str,
        *,
        chatbot_id: str | None = None,
        kind: SourceKind | None = None,
        status: SourceStatus | None = None,
        limit: int = 50,
        after: PageKey | None = None,
    ) -> Page[Source]:
        """One page of a tenant's sources, newest first, without the removed ones.

        Raises:
            ValueError: `limit` is not between 1 and `MAX_PAGE_RECORDS`.
        """
        wanted = {"$ne": SourceStatus.REMOVED.value} if status is None else status.value
        where: Document = {"tenant": tenant, "status": wanted}
        if chatbot_id is not None:
            where["chatbot_id"] = chatbot_id
        if kind is not None:
            where["kind"] = kind.value
        return await self._records.page(where, limit, after)

    async def active(self, tenant: str, chatbot_id: str | None = None) -> tuple[ActiveSource, ...]:
        """Which sources have chunks to read, and of which run, sorted by id: a search index's version."""
        where: Document = {
            "tenant": tenant,
            "active_token": {"$gt": 0},
            "status": {"$ne": SourceStatus.REMOVED.value},
        }
        if chatbot_id is not None:
            where["chatbot_id"] = chatbot_id
        found = self._records.collection.iterate(where, sort=(("_id", 1),), fields=("active_token",))
        return tuple([ActiveSource(str(each["_id"]), int(each["active_token"])) async for each in found])

    async def remove(self, tenant: str, source_id: str) -> bool:
        """Take the source out of every list and refuse what runs still write; whether it was there.

        Its chunks and its file are deleted by cleanup.
        """
        return await self._records.update(
            {"_id": source_id, "tenant": tenant, "status": {"$ne": SourceStatus.REMOVED.value}},
            {
                "$set": {
                    "status": SourceStatus.REMOVED.value,
                    "active_token": 0,
                    "updated_at": self._clock(),
                }
            },
        )

    async def _add(self, source: Source) -> Source:
        for generation in range(1, MAX_GENERATIONS):
            candidate = source if generation == 1 else replace(source, id=f"{source.id}-{generation}")
            try:
                await self._records.insert(candidate)
            except RecordExistsError:
                # A failed one is put in again: cleanup must not take it for long forgotten.
                failed = {"_id": candidate.id, "status": SourceStatus.FAILED.value}
                await self._records.update(failed, {"$set": {"updated_at": self._clock()}})
                existing = await self._records.get({"_id": candidate.id})
                if existing is not None and existing.status is not SourceStatus.REMOVED:
                    return existing
            else:
                return candidate
        raise SourceRemovedError(source.id)

    # What the tasks use.

    async def ensure(self, source: Source) -> Source:
        """The stored source of this id; this one when there was none."""
        try:
            await self._records.insert(source)
        except RecordExistsError:
            stored = await self.find(source.id)
            if stored is not None:
                return stored
        return source

    async def find(self, source_id: str) -> Source | None:
        """The source whoever owns it, removed ones too; for tasks only."""
        return await self._records.get({"_id": source_id})

    async def find_by_path(self, path: str) -> Source | None:
        """A source whose upload is kept at this path, removed ones too, or None; for tasks only."""
        return await self._records.get({"path": path})

    # What cleanup and reports use.

    async def ended_before(self, moment: datetime, limit: int) -> tuple[Source, ...]:
        """Up to `limit` sources that have nothing to read and that nothing has written since `moment`.

        These are the removed ones, and the failed ones of which no run ever succeeded; oldest first.
        """
        return await self._records.find(
            {
                "status": {"$in": [SourceStatus.FAILED.value, SourceStatus.REMOVED.value]},
                "active_token": 0,
                "updated_at": {"$lt": moment},
            },
            sort=(("updated_at", 1), ("_id", 1)),
            limit=limit,
        )

    async def delete(self, source: Source) -> bool:
        """Delete the record unless it was written since it was read; whether it was deleted."""
        unchanged = {"_id": source.id, "token": source.token, "updated_at": source.updated_at}
        return await self._records.remove({**unchanged, "status": source.status.value}) > 0

    async def after(self, source_id: str, limit: int) -> tuple[Source, ...]:
        """Up to `limit` sources of all tenants whose id comes after this one, sorted by id."""
        return await self._records.find({"_id": {"$gt": source_id}}, sort=(("_id", 1),), limit=limit)

    async def owners(self, tenant: str | None = None) -> tuple[tuple[str, str], ...]:
        """Every (tenant, chatbot id) that has a source, sorted; those of one tenant, or of all for None."""
        where: Document = {"status": {"$ne": SourceStatus.REMOVED.value}}
        if tenant is not None:
            where["tenant"] = tenant
        found = self._records.collection.iterate(where, fields=("tenant", "chatbot_id"))
        return tuple(sorted({(str(each["tenant"]), str(each["chatbot_id"])) async for each in found}))

    async def totals(
        self,
        tenant: str,
        chatbot_id: str,
        *,
        by: Literal["status", "kind"],
        add: Literal["characters", "chunks_created"],
    ) -> dict[str, tuple[int, int]]:
        """For each status or kind that occurs: how many sources, and the sum of their characters or chunks.

        Removed sources are left out.
        """
        where = _of_chatbot(tenant, chatbot_id)
        return await self._records.collection.totals(where, by=by, add=add)

    async def count(self, tenant: str, chatbot_id: str, since: datetime, until: datetime) -> int:
        """How many sources of a chatbot were added from `since` to before `until`, without removed ones."""
        where = _of_chatbot(tenant, chatbot_id)
        return await self._records.count({**where, "created_at": {"$gte": since, "$lt": until}})


def _of_chatbot(tenant: str, chatbot_id: str) -> Document:
    return {"tenant": tenant, "chatbot_id": chatbot_id, "status": {"$ne": SourceStatus.REMOVED.value}}
