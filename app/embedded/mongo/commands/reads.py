"""Commands that read: find, getMore, killCursors, count, distinct, aggregate."""

from collections.abc import Iterator
from typing import Any

from bson import Int64

from app.embedded.mongo import paths, searching
from app.embedded.mongo.collection import decode, encode
from app.embedded.mongo.commands.command import Command, check_fields, whole
from app.embedded.mongo.cursors import Cursor, Cursors
from app.embedded.mongo.engine import Engine
from app.embedded.mongo.errors import (
    BadValueError,
    CommandNotSupportedError,
    FailedToParseError,
    TypeMismatchError,
)
from app.embedded.mongo.ordering import order_key
from app.embedded.mongo.paths import MISSING, Document
from app.embedded.mongo.projecting import compile_projection
from app.embedded.mongo.searching import Search
from app.embedded.mongo.stages import Surroundings, compile_pipeline


class Reads:
    """The reading commands over the server's open cursors."""

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors

    def find(self, engine: Engine, command: Command) -> dict[str, Any]:
        """Documents by filter, projected, sorted, in batches."""
        if command.flag("allowPartialResults"):
            raise CommandNotSupportedError("allowPartialResults is not supported by this server")
        search = _search(command, "filter", "sort", "limit")
        searching.check(search)
        variables = command.variables
        projection = command.document("projection")
        project = compile_projection(projection, variables, in_find=True) if projection else None
        collection = engine.find(command.database, command.collection_name())
        rows = iter(()) if collection is None else searching.find(collection, search)
        documents = (raw if project is None else encode(project(decode(raw))) for _, raw in rows)
        namespace = f"{command.database}.{command.collection_name()}"
        cursor = Cursor(namespace, documents, is_kept=command.flag("noCursorTimeout"))
        size = command.whole("batchSize")
        first = self._cursors.first(cursor, size, is_single=command.flag("singleBatch"))
        command.end_time_limit()
        return {"cursor": first}

    def get_more(self, _engine: Engine, command: Command) -> dict[str, Any]:
        """The next batch of a cursor."""
        number = command.body[command.name]
        name = command.body.get("collection")
        if not isinstance(number, int) or isinstance(number, bool):
            raise TypeMismatchError("BSON field 'getMore.getMore' is the wrong type, expected type 'long'")
        if not isinstance(name, str):
            raise TypeMismatchError("BSON field 'getMore.collection' must be a string")
        size = command.whole("batchSize") or None
        return {"cursor": self._cursors.more(number, f"{command.database}.{name}", size)}

    def kill_cursors(self, _engine: Engine, command: Command) -> dict[str, Any]:
        """End cursors that the client does not want to read to their end."""
        numbers = command.body.get("cursors")
        if not isinstance(numbers, list) or not all(isinstance(number, int) for number in numbers):
            raise TypeMismatchError("BSON field 'killCursors.cursors' must be an array of longs")
        killed: list[Int64] = []
        gone: list[Int64] = []
        for number in numbers:
            (killed if self._cursors.kill(number) else gone).append(Int64(number))
        return {"cursorsKilled": killed, "cursorsNotFound": gone, "cursorsAlive": [], "cursorsUnknown": []}

    def count(self, engine: Engine, command: Command) -> dict[str, Any]:
        """How many documents match."""
        search = _search(command, "query", "", "limit")
        searching.check(search)
        collection = engine.find(command.database, command.collection_name())
        return {"n": 0 if collection is None else searching.count(collection, search)}

    def distinct(self, engine: Engine, command: Command) -> dict[str, Any]:
        """The different values of a field; those of arrays one by one."""
        key = command.body.get("key")
        if not isinstance(key, str):
            raise TypeMismatchError("BSON field 'distinct.key' must be a string")
        parts = paths.split(key)
        search = _search(command, "query", "", "")
        searching.check(search)
        collection = engine.find(command.database, command.collection_name())
        found: dict[bytes, Any] = {}
        for _, raw in iter(()) if collection is None else searching.find(collection, search):
            for value in paths.leaves(decode(raw), parts):
                for element in value if isinstance(value, list) else (value,):
                    if element is not MISSING:
                        found.setdefault(order_key(element), element)
        encode({"values": list(found.values())})
        return {"values": list(found.values())}

    def aggregate(self, engine: Engine, command: Command) -> dict[str, Any]:
        """The result of a pipeline; its first `$match` uses the indexes."""
        options = command.body.get("cursor")
        if not isinstance(options, dict):
            raise FailedToParseError("The 'cursor' option is required")
        check_fields(options, frozenset({"batchSize"}), "aggregate.cursor")
        if not isinstance(command.body[command.name], str):
            raise CommandNotSupportedError("an aggregation of a whole database is not supported by this server")
        namespace = f"{command.database}.{command.collection_name()}"
        documents = _pipeline_result(engine, command)
        cursor = Cursor(namespace, (encode(document) for document in documents))
        first = self._cursors.first(cursor, whole(options, "batchSize"))
        command.end_time_limit()
        return {"cursor": first}


def _pipeline_result(engine: Engine, command: Command) -> Iterator[Document]:
    pipeline = command.body.get("pipeline")
    variables = command.variables

    def every(name: str) -> Iterator[Document]:
        other = engine.find(command.database, name)
        everything = Search({}, variables, {}, check_time=command.check_time)
        return iter(()) if other is None else (decode(raw) for _, raw in searching.find(other, everything))

    run = compile_pipeline(pipeline, Surroundings(variables, every))
    query: Document = {}
    sort: Document = {}
    rest = list(pipeline or [])
    if rest and "$match" in rest[0]:
        query = rest.pop(0)["$match"]
    if rest and "$sort" in rest[0]:
        sort = rest.pop(0)["$sort"]
    limit = int(rest[0]["$limit"]) if rest and "$limit" in rest[0] else 0
    run = compile_pipeline(rest, Surroundings(variables, every))
    search = Search(query, variables, sort, 0, limit, command.body.get("hint"), command.check_time)
    collection = engine.find(command.database, command.collection_name())
    if collection is None:
        return run(iter(()))
    if _is_count(rest) and not sort:
        return _counted(searching.count(collection, search), rest[-1]["$group"])
    return run(decode(raw) for _, raw in searching.find(collection, search))


def _is_count(rest: list[Document]) -> bool:
    """True for the pipeline of PyMongo's `count_documents`, which an index alone may answer."""
    if len(rest) != 1 or "$group" not in rest[0]:
        return False
    group = rest[0]["$group"]
    return list(group.items()) == [("_id", 1), ("n", {"$sum": 1})] and type(group["n"]["$sum"]) is int


def _counted(number: int, group: Document) -> Iterator[Document]:
    if number:
        yield {"_id": group["_id"], "n": number}


def _search(command: Command, query: str, sort: str, limit: str) -> Search:
    hint = command.body.get("hint")
    if hint is not None and not isinstance(hint, str | dict):
        raise BadValueError("a hint must be an index's name or key")
    return Search(
        query=command.document(query),
        variables=command.variables,
        sort=command.document(sort) if sort else {},
        skip=command.whole("skip", 0) or 0,
        limit=command.whole(limit, 0) or 0 if limit else 0,
        hint=hint,
        check_time=command.check_time,
    )
