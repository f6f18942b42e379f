"""Commands about databases, collections and indexes."""

from collections.abc import Callable
from typing import Any

from bson import Int64

from app.embedded.mongo.collection import Collection, encode
from app.embedded.mongo.commands.command import Command, check_fields, whole
from app.embedded.mongo.cursors import Cursor, Cursors
from app.embedded.mongo.engine import Engine
from app.embedded.mongo.errors import (
    BadValueError,
    IndexNotFoundError,
    InvalidOptionsError,
    NamespaceExistsError,
    NamespaceNotFoundError,
    TypeMismatchError,
)
from app.embedded.mongo.indexes import Index
from app.embedded.mongo.matching import compile_filter
from app.embedded.mongo.paths import Document


class Catalog:
    """The commands about what exists, over the server's open cursors."""

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors

    def list_collections(self, engine: Engine, command: Command) -> dict[str, Any]:
        """The collections of the database."""
        wanted = compile_filter(command.document("filter"), command.variables)
        found = [_describe(collection) for collection in engine.collections(command.database)]
        if command.flag("nameOnly"):
            found = [{"name": one["name"], "type": one["type"]} for one in found]
        namespace = f"{command.database}.$cmd.listCollections"
        return self._cursor(command, namespace, [one for one in found if wanted(one)])

    def list_indexes(self, engine: Engine, command: Command) -> dict[str, Any]:
        """The indexes of a collection, the one on `_id` first."""
        collection = _existing(engine, command)
        return self._cursor(command, collection.namespace, [index.spec for index in collection.indexes])

    def _cursor(self, command: Command, namespace: str, found: list[Document]) -> dict[str, Any]:
        options = command.document("cursor")
        check_fields(options, frozenset({"batchSize"}), f"{command.name}.cursor")
        cursor = Cursor(namespace, (encode(one) for one in found))
        return {"cursor": self._cursors.first(cursor, whole(options, "batchSize", len(found)))}


def list_databases(engine: Engine, command: Command) -> dict[str, Any]:
    """The databases that hold a collection, with the size of their documents."""
    wanted = compile_filter(command.document("filter"), command.variables)
    found: list[Document] = []
    for name in engine.databases():
        size = sum(collection.stored_bytes() for collection in engine.collections(name))
        found.append({"name": name, "sizeOnDisk": Int64(size), "empty": size == 0})
    found = [one for one in found if wanted(one)]
    if command.flag("nameOnly"):
        return {"databases": [{"name": one["name"]} for one in found]}
    return {"databases": found, "totalSize": Int64(engine.stored_bytes())}


def create(engine: Engine, command: Command) -> dict[str, Any]:
    """Make an empty collection."""
    name = command.collection_name()
    if engine.find(command.database, name) is not None:
        msg = f"Collection {command.database}.{name} already exists."
        raise NamespaceExistsError(msg)
    engine.ensure(command.database, name)
    return {}


def drop(engine: Engine, command: Command) -> dict[str, Any]:
    """Remove a collection with its documents and indexes."""
    collection = engine.find(command.database, command.collection_name())
    if collection is None:
        raise NamespaceNotFoundError("ns not found")
    count = len(collection.indexes)
    engine.drop(collection)
    return {"nIndexesWas": count, "ns": collection.namespace}


def drop_database(engine: Engine, command: Command) -> dict[str, Any]:
    """Remove all collections of the database."""
    collections = engine.collections(command.database)
    for collection in collections:
        engine.drop(collection)
    return {"dropped": command.database} if collections else {}


def create_indexes(engine: Engine, command: Command) -> dict[str, Any]:
    """Make indexes, all of them or none; those that exist already are left as they are."""
    wanted = command.body.get("indexes")
    if not isinstance(wanted, list) or not wanted:
        raise BadValueError("Must specify at least one index to create")
    name = command.collection_name()
    is_new = engine.find(command.database, name) is None
    collection = engine.ensure(command.database, name)
    before = len(collection.indexes)
    made = [engine.create_index(collection, spec) for spec in wanted]
    answer: dict[str, Any] = {
        "numIndexesBefore": before,
        "numIndexesAfter": len(collection.indexes),
        "createdCollectionAutomatically": is_new,
    }
    return answer if any(made) else {**answer, "note": "all indexes already exist"}


def drop_indexes(engine: Engine, command: Command) -> dict[str, Any]:
    """Remove indexes by name, by key, or all (`*`) but the one on `_id`."""
    collection = _existing(engine, command)
    count = len(collection.indexes)
    for index in _wanted_indexes(collection, command.body.get("index")):
        engine.drop_index(collection, index)
    return {"nIndexesWas": count}


def _wanted_indexes(collection: Collection, wanted: Any) -> list[Index]:
    if wanted == "*":
        return collection.indexes[1:]
    if not isinstance(wanted, str | dict | list):
        raise TypeMismatchError("the index to drop must be a name, a key, or an array of names")
    found = []
    for one in wanted if isinstance(wanted, list) else [wanted]:
        is_it = _same_key(one) if isinstance(one, dict) else _same_name(one)
        matches = [index for index in collection.indexes if is_it(index)]
        if not matches:
            msg = f"index not found with name [{one}]"
            raise IndexNotFoundError(msg)
        if matches[0].number == 0:
            raise InvalidOptionsError("cannot drop _id index")
        found.append(matches[0])
    return found


def _same_key(key: Document) -> Callable[[Index], bool]:
    return lambda index: list(index.spec["key"].items()) == list(key.items())


def _same_name(name: Any) -> Callable[[Index], bool]:
    return lambda index: index.name == name


def _existing(engine: Engine, command: Command) -> Collection:
    name = command.collection_name()
    collection = engine.find(command.database, name)
    if collection is None:
        msg = f"ns does not exist: {command.database}.{name}"
        raise NamespaceNotFoundError(msg)
    return collection


def _describe(collection: Collection) -> Document:
    return {
        "name": collection.name,
        "type": "collection",
        "options": {},
        "info": {"readOnly": False},
        "idIndex": collection.indexes[0].spec,
    }
