"""One collection as frozen dataclasses: what every store is built on."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from app.stores.errors import CorruptRecordError, RecordExistsError, StaleTokenError
from app.stores.mongo import Collection, Document, Filter, Index, Mongo, Sort
from app.stores.paging import Page, PageKey, after_key, checked_limit

T = TypeVar("T")

NEWEST_FIRST: Sort = (("created_at", -1), ("_id", -1))


class Records(Generic[T]):
    """The records of one collection, each a dataclass with an `id`, kept as the document's `_id`.

    Filters and changes are MongoDB's, by field name. Each method may raise StoreUnavailableError, and each
    that reads CorruptRecordError.

    Args of the constructor: the database, the collection's name, the dataclass, the indexes.
    """

    def __init__(self, mongo: Mongo, name: str, kind: type[T], indexes: tuple[Index, ...]) -> None:
        if not is_dataclass(kind):
            msg = f"{kind!r} is not a dataclass"
            raise TypeError(msg)
        self.collection: Collection = mongo.collection(name, indexes)
        self._adapter: TypeAdapter[T] = TypeAdapter(kind)

    async def insert(self, record: T) -> None:
        """Store a new record.

        Raises:
            RecordExistsError: its id, or the value of a unique index, is taken.
        """
        await self.collection.insert(self.encode(record))

    async def insert_missing(self, records: tuple[T, ...]) -> int:
        """Store those whose id is not taken yet, in one round trip; the number stored."""
        return await self.collection.insert_missing([self.encode(record) for record in records])

    async def get(self, where: Filter) -> T | None:
        """One matching record, or None."""
        found = await self.collection.find_one(where)
        return None if found is None else self.decode(found)

    async def find(self, where: Filter, *, sort: Sort = NEWEST_FIRST, limit: int) -> tuple[T, ...]:
        """Up to `limit` matching records."""
        found = await self.collection.find(where, sort=sort, limit=limit)
        return tuple(self.decode(document) for document in found)

    async def iterate(self, where: Filter, *, sort: Sort = ()) -> AsyncIterator[T]:
        """Every matching record, read in batches."""
        async for document in self.collection.iterate(where, sort=sort):
            yield self.decode(document)

    async def page(self, where: Filter, limit: int, after: PageKey | None) -> Page[T]:
        """One page of the matching records, newest first.

        Raises:
            ValueError: `limit` is not between 1 and `MAX_PAGE_RECORDS`.
        """
        checked = checked_limit(limit)
        # One more than asked tells whether there is a next page, without a count.
        found = await self.collection.find(
            {"$and": [dict(where), after_key(after)]}, sort=NEWEST_FIRST, limit=checked + 1
        )
        items = tuple(self.decode(document) for document in found[:checked])
        last = found[checked - 1] if len(found) > checked else None
        return Page(items, None if last is None else PageKey(last["created_at"], str(last["_id"])))

    async def update(self, where: Filter, change: Filter, *, upsert: bool = False) -> bool:
        """Apply MongoDB's update to one matching record; whether there was one (or `upsert` made it)."""
        return await self.collection.update(where, change, upsert=upsert)

    async def put(self, record: T, token: int) -> None:
        """Store the record in place of the one with its id, unless a newer run has written that.

        Raises:
            StaleTokenError: the stored record carries a token above `token`.
        """
        document = self.encode(record)
        record_id = document.pop("_id")
        created_at = document.pop("created_at")
        change = {"$set": {**document, "token": token}, "$setOnInsert": {"created_at": created_at}}
        try:
            await self.update({"_id": record_id, "token": {"$lte": token}}, change, upsert=True)
        except RecordExistsError as exc:
            # The id is there, and its token did not match the filter: so it is above ours.
            raise StaleTokenError(str(record_id), token) from exc

    async def count(self, where: Filter) -> int:
        """How many records match."""
        return await self.collection.count(where)

    async def remove(self, where: Filter) -> int:
        """Remove all that match; the number removed."""
        return await self.collection.delete(where)

    async def remove_batch(self, where: Filter, limit: int) -> int:
        """Remove at most `limit` of those that match; 0 when none is left."""
        return await self.collection.delete_batch(where, limit)

    def encode(self, record: T) -> Document:
        """The document that keeps the record."""
        document: Document = plain(self._adapter.dump_python(record))
        document["_id"] = document.pop("id")
        return document

    def decode(self, document: Mapping[str, Any]) -> T:
        """The record that a document keeps; fields of a newer version are left out.

        Raises:
            CorruptRecordError: a field is missing or of another type.
        """
        fields = dict(document)
        record_id = fields.pop("_id")
        try:
            return self._adapter.validate_python({"id": record_id, **fields})
        except ValidationError as exc:
            raise CorruptRecordError(self.collection.name, str(record_id), str(exc)) from exc


def plain(value: Any) -> Any:
    """The value in types that BSON has: enums by their value, tuples as lists."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(plain(key)): plain(each) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(each) for each in value]
    return value
