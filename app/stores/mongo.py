"""MongoDB through PyMongo. The only module that knows the driver; all others see this module's names."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from bson.errors import BSONError
from pymongo import AsyncMongoClient, IndexModel, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    PyMongoError,
    WTimeoutError,
)

from app.stores.errors import RecordExistsError, StoreRejectedError, StoreUnavailableError

Document = dict[str, Any]
Filter = Mapping[str, Any]
Sort = Sequence[tuple[str, int]]

SERVER_SELECTION_MS = 3_000
SOCKET_TIMEOUT_MS = 30_000
DUPLICATE_KEY = 11_000
# Read in this many documents a round trip: with chunks of about 1,000 characters, well under a megabyte.
BATCH_DOCUMENTS = 200


@dataclass(frozen=True, slots=True)
class Index:
    """One index of a collection, declared beside it.

    Args of the constructor: `keys` as (field, 1 or -1), and whether two records may not share the values.
    """

    keys: tuple[tuple[str, int], ...]
    unique: bool = False

    @property
    def name(self) -> str:
        """The name under which the index is kept; the same for the same keys."""
        return "_".join(f"{field}_{direction}" for field, direction in self.keys)


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """Whether MongoDB answers now, and the bounds of the pool of connections in this process."""

    status: Literal["healthy", "unhealthy"]
    max_pool_size: int
    min_pool_size: int


class Mongo:
    """One database, connected when it is first used, on the loop that is running then.

    Each loop, and each process that was forked, gets a client of its own: sockets and futures are never
    shared. A loop that ends before `close` leaves its sockets to the garbage collector: nothing else can end them.

    Args of the constructor: `url` as `mongodb://...`; `db_name`; the pool's bounds in connections.
    """

    def __init__(self, url: str, db_name: str, max_pool_size: int = 100, min_pool_size: int = 10) -> None:
        self._url = url
        self._db_name = db_name
        self._max_pool_size = max_pool_size
        self._min_pool_size = min(min_pool_size, max_pool_size)
        self._pid = os.getpid()
        self._clients: dict[asyncio.AbstractEventLoop, AsyncMongoClient[Document]] = {}
        self._parents: list[AsyncMongoClient[Document]] = []
        self._lock = threading.Lock()
        self._collections: dict[str, tuple[Index, ...]] = {}

    def collection(self, name: str, indexes: Sequence[Index] = ()) -> "Collection":
        """The collection of this name; its indexes are made by `ensure_indexes`. Connects to nothing."""
        self._collections[name] = tuple(indexes)
        return Collection(self, name)

    async def ping(self) -> None:
        """Return when MongoDB answers.

        Raises:
            StoreUnavailableError: it did not answer within about `SERVER_SELECTION_MS`, or what the URL says.
        """
        with translated(self._db_name):
            await self.client()[self._db_name].command("ping")

    async def pool_status(self) -> PoolStatus:
        """Whether MongoDB answers, and the pool's bounds; never raises for an unreachable server."""
        try:
            await self.ping()
        except StoreUnavailableError:
            return PoolStatus("unhealthy", self._max_pool_size, self._min_pool_size)
        return PoolStatus("healthy", self._max_pool_size, self._min_pool_size)

    async def ensure_indexes(self) -> None:
        """Make the indexes of every collection that was asked for; those that exist are left alone.

        Raises:
            StoreUnavailableError: MongoDB cannot be reached.
            StoreRejectedError: an index of the same name exists with other properties.
        """
        for name, indexes in self._collections.items():
            if not indexes:
                continue
            models = [IndexModel(list(index.keys), name=index.name, unique=index.unique) for index in indexes]
            with translated(name):
                await self.driver_collection(name).create_indexes(models)

    async def drop(self) -> None:
        """Remove the whole database, with everything in it."""
        with translated(self._db_name):
            await self.client().drop_database(self._db_name)

    async def close(self) -> None:
        """Close the connections of this process, on the loops that opened them; a later use connects again."""
        if self._pid != os.getpid():
            return
        with self._lock:
            clients, self._clients = self._clients, {}
        here = asyncio.get_running_loop()
        for loop, client in clients.items():
            if loop is here:
                await client.close()
            elif loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(client.close(), loop))

    def client(self) -> AsyncMongoClient[Document]:
        """The driver's client for this process and the running loop. For this module only."""
        loop = asyncio.get_running_loop()
        if self._pid != os.getpid():
            # A fork: the sockets are the parent's, and so is the lock, which a thread of it may have held. Its clients
            # are kept, because one that is collected would be missed on the parent's loop.
            self._parents += self._clients.values()
            self._pid, self._clients, self._lock = os.getpid(), {}, threading.Lock()
        with self._lock:
            client = self._clients.get(loop)
            if client is None:
                for ended in [each for each in self._clients if each.is_closed()]:
                    del self._clients[ended]
                client = self._clients[loop] = self._connect()
        return client

    def _connect(self) -> AsyncMongoClient[Document]:
        return AsyncMongoClient(
            self._url,
            maxPoolSize=self._max_pool_size,
            minPoolSize=self._min_pool_size,
            tz_aware=True,
            appname="onceq",
            **self._timeouts(),
        )

    def _timeouts(self) -> dict[str, Any]:
        """Our waits, but for those that the URL sets itself: the driver would let ours win."""
        ours = {
            "serverSelectionTimeoutMS": SERVER_SELECTION_MS,
            "connectTimeoutMS": SERVER_SELECTION_MS,
            "socketTimeoutMS": SOCKET_TIMEOUT_MS,
        }
        return {name: wait_ms for name, wait_ms in ours.items() if f"{name}=".lower() not in self._url.lower()}

    def driver_collection(self, name: str) -> AsyncCollection[Document]:
        """The driver's collection. For this module only."""
        return self.client()[self._db_name][name]


class Collection:
    """One collection: what the stores may do with it. Every method translates the driver's errors.

    Each may raise StoreUnavailableError and StoreRejectedError.
    """

    def __init__(self, mongo: Mongo, name: str) -> None:
        self._mongo = mongo
        self.name = name

    async def insert(self, document: Document) -> None:
        """Store a new document.

        Raises:
            RecordExistsError: its `_id`, or the value of a unique index, is taken.
        """
        with translated(self.name, str(document.get("_id"))):
            await self._driver().insert_one(document)

    async def insert_missing(self, documents: Sequence[Document]) -> int:
        """Store those whose `_id` is not yet taken; the number stored."""
        if not documents:
            return 0
        with translated(self.name):
            try:
                result = await self._driver().insert_many(documents, ordered=False)
            except BulkWriteError as exc:
                details: Mapping[str, Any] = exc.details
                refused = details.get("writeErrors", [])
                if not refused or any(error.get("code") != DUPLICATE_KEY for error in refused):
                    raise
                return int(details.get("nInserted", 0))
        return len(result.inserted_ids)

    async def find_one(self, where: Filter) -> Document | None:
        """One matching document, or None."""
        with translated(self.name):
            found: Document | None = await self._driver().find_one(dict(where))
        return found

    async def find(
        self, where: Filter, *, sort: Sort = (), limit: int, fields: Sequence[str] | None = None
    ) -> list[Document]:
        """Up to `limit` matching documents, in the order of `sort`; whole, or only `_id` and `fields`."""
        with translated(self.name):
            cursor = self._driver().find(dict(where), list(fields) if fields is not None else None)
            if sort:
                cursor = cursor.sort(list(sort))
            found: list[Document] = await cursor.limit(limit).to_list(length=limit)
        return found

    async def iterate(
        self, where: Filter, *, sort: Sort = (), fields: Sequence[str] | None = None
    ) -> AsyncIterator[Document]:
        """Every matching document, read `BATCH_DOCUMENTS` at a time."""
        with translated(self.name):
            cursor = self._driver().find(dict(where), list(fields) if fields is not None else None)
            if sort:
                cursor = cursor.sort(list(sort))
            async for document in cursor.batch_size(BATCH_DOCUMENTS):
                yield document

    async def update(self, where: Filter, change: Filter, *, upsert: bool = False) -> bool:
        """Apply an update to one matching document; whether one matched, or was made by `upsert`.

        Raises:
            RecordExistsError: the upsert met an `_id` that is there but does not match the rest of `where`.
        """
        with translated(self.name, str(where.get("_id"))):
            result = await self._driver().update_one(dict(where), dict(change), upsert=upsert)
        return result.matched_count > 0 or result.upserted_id is not None

    async def insert_each(self, documents: Sequence[Document]) -> list[int]:
        """Store each new document, in one round trip.

        Returns:
            The places in `documents` of those that were refused; the others are written.
        """
        with translated(self.name):
            try:
                await self._driver().insert_many(documents, ordered=False)
            except BulkWriteError as exc:
                return _refused(exc)
        return []

    async def update_each(self, changes: Sequence[tuple[Filter, Filter]]) -> None:
        """Apply each update to the one document that matches, if there is one, in this order and in one round trip."""
        with translated(self.name):
            await self._driver().bulk_write([UpdateOne(dict(where), dict(change)) for where, change in changes])

    async def count(self, where: Filter) -> int:
        """How many documents match."""
        with translated(self.name):
            return int(await self._driver().count_documents(dict(where)))

    async def totals(self, where: Filter, *, by: str, add: str) -> dict[str, tuple[int, int]]:
        """For each value of the field `by`: how many documents match, and the sum of their `add`."""
        stages = [
            {"$match": dict(where)},
            {"$group": {"_id": f"${by}", "documents": {"$sum": 1}, "total": {"$sum": f"${add}"}}},
        ]
        with translated(self.name):
            groups = await (await self._driver().aggregate(stages)).to_list()
        return {str(group["_id"]): (int(group["documents"]), int(group["total"])) for group in groups}

    async def delete(self, where: Filter) -> int:
        """Remove all that match; the number removed."""
        with translated(self.name):
            return int((await self._driver().delete_many(dict(where))).deleted_count)

    async def delete_batch(self, where: Filter, limit: int) -> int:
        """Remove at most `limit` of those that match; the number removed, 0 when none is left."""
        found = await self.find(where, limit=limit, fields=("_id",))
        if not found:
            return 0
        # `where` again: a document may have changed since it was found, and must then be kept.
        return await self.delete({"$and": [dict(where), {"_id": {"$in": [each["_id"] for each in found]}}]})

    def _driver(self) -> AsyncCollection[Document]:
        return self._mongo.driver_collection(self.name)


def _refused(error: BulkWriteError) -> list[int]:
    """The places of the statements that were refused; raises the error when it is about something else."""
    details: Mapping[str, Any] = error.details
    if not details.get("writeErrors"):
        raise error
    return [int(each["index"]) for each in details["writeErrors"]]


@contextmanager
def translated(collection: str, record_id: str = "") -> Iterator[None]:
    """Turn the driver's errors into the app's."""
    try:
        yield
    except DuplicateKeyError as exc:
        raise RecordExistsError(collection, record_id) from exc
    except (ConnectionFailure, ExecutionTimeout, WTimeoutError) as exc:
        raise StoreUnavailableError(str(exc)) from exc
    except (PyMongoError, BSONError, OverflowError, UnicodeError) as exc:
        raise StoreRejectedError(str(exc)) from exc
