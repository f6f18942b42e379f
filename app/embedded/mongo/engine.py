"""The databases of one data folder: the catalog of collections and indexes, in one SQLite file.

Used by the storage thread alone. Everything, also the creation of a collection or an index, is part of
SQLite's transaction, so a command is kept whole or not at all.
"""

import sqlite3
from pathlib import Path
from typing import Any

import bson

from app.embedded.mongo.collection import CODEC, Collection
from app.embedded.mongo.errors import (
    CannotCreateIndexError,
    IndexKeySpecsConflictError,
    IndexOptionsConflictError,
    InvalidNamespaceError,
)
from app.embedded.mongo.indexes import MAX_INDEXES, Index, check_spec, load_index
from app.embedded.mongo.paths import Document

FORMAT = 1
"""The version of the file's layout; another one is refused."""

_SCHEMA = """
CREATE TABLE collections(number INTEGER PRIMARY KEY AUTOINCREMENT, db TEXT NOT NULL, name TEXT NOT NULL,
                         UNIQUE(db, name));
CREATE TABLE indexes(number INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL, spec BLOB NOT NULL,
                     multikey INTEGER NOT NULL DEFAULT 0);
"""


class DataFormatError(RuntimeError):
    """The data folder holds something that this server cannot read; the text says what."""


class Engine:
    """Databases and collections by name.

    Args:
        path: the SQLite file; made when missing.

    Raises:
        DataFormatError: the file is no database, is damaged, or is of another version.
    """

    def __init__(self, path: Path) -> None:
        self._collections: dict[tuple[str, str], Collection] = {}
        try:
            self.connection = sqlite3.connect(path, isolation_level=None)
            self._open()
            self.reload()
        except sqlite3.DatabaseError as exc:
            msg = f"{path} cannot be opened as the server's database: {exc}"
            raise DataFormatError(msg) from exc

    def _open(self) -> None:
        run = self.connection.execute
        run("PRAGMA journal_mode=WAL")
        # FULL syncs the log at every commit: an acknowledged write survives a power cut, not only our own end.
        run("PRAGMA synchronous=FULL")
        run("PRAGMA fullfsync=1")  # macOS: a plain fsync stops at the drive's cache there
        run("PRAGMA cache_size=-65536")
        run("PRAGMA temp_store=MEMORY")
        (version,) = run("PRAGMA user_version").fetchone()
        if version == 0:
            self.connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={FORMAT}; COMMIT;")
        elif version != FORMAT:
            msg = f"the data was written by another version of this server (format {version}, not {FORMAT})"
            raise DataFormatError(msg)

    def reload(self) -> None:
        """Read the catalog again, after a transaction was undone."""
        self._collections = {}
        indexes: dict[int, list[Index]] = {}
        query = "SELECT number, collection, spec, multikey FROM indexes ORDER BY number"
        for number, collection, spec, multikey in self.connection.execute(query):
            index = load_index(number, bson.decode(spec, codec_options=CODEC), is_multikey=bool(multikey))
            indexes.setdefault(collection, []).append(index)
        for number, database, name in self.connection.execute("SELECT number, db, name FROM collections"):
            found = Collection(self.connection, number, (database, name), indexes.get(number, []))
            self._collections[database, name] = found

    def close(self) -> None:
        """Write the log back into the file and close it."""
        self.connection.close()

    def databases(self) -> list[str]:
        """The names of the databases that have a collection, sorted."""
        return sorted({database for database, _ in self._collections})

    def collections(self, database: str) -> list[Collection]:
        """The collections of a database, by name."""
        found = [collection for (owner, _), collection in self._collections.items() if owner == database]
        return sorted(found, key=lambda collection: collection.name)

    def every_collection(self) -> list[Collection]:
        """All collections of all databases."""
        return list(self._collections.values())

    def find(self, database: str, name: str) -> Collection | None:
        """The collection, or None when it does not exist."""
        return self._collections.get((database, name))

    def ensure(self, database: str, name: str) -> Collection:
        """The collection, made now when it does not exist.

        Raises:
            InvalidNamespaceError: the name is not allowed.
        """
        found = self._collections.get((database, name))
        if found is not None:
            return found
        if name.startswith(("system.", ".")) or "$" in name or len(database) + len(name) > 250:
            msg = f"Invalid collection name: {database}.{name}"
            raise InvalidNamespaceError(msg)
        cursor = self.connection.execute("INSERT INTO collections(db, name) VALUES(?, ?)", (database, name))
        found = Collection(self.connection, int(cursor.lastrowid or 0), (database, name), [])
        found.create_table()
        self._collections[database, name] = found
        return found

    def drop(self, collection: Collection) -> None:
        """Remove a collection with its documents and indexes."""
        collection.drop_tables()
        self.connection.execute("DELETE FROM indexes WHERE collection=?", (collection.number,))
        self.connection.execute("DELETE FROM collections WHERE number=?", (collection.number,))
        del self._collections[collection.database, collection.name]

    def create_index(self, collection: Collection, given: Any) -> bool:
        """Make an index and fill it. False when the same one exists.

        Raises:
            IndexOptionsConflictError, IndexKeySpecsConflictError: another one has its fields or its name.
            CannotCreateIndexError: the definition is wrong, or there are 64 already.
            DuplicateKeyError: it is unique and the documents are not.
        """
        spec = check_spec(given)
        if spec["key"] == {"_id": 1}:
            return False
        for index in collection.indexes:
            if _is_same(index, spec):
                return False
        if len(collection.indexes) >= MAX_INDEXES:
            msg = f"a collection may have {MAX_INDEXES} indexes"
            raise CannotCreateIndexError(msg)
        cursor = self.connection.execute(
            "INSERT INTO indexes(collection, spec) VALUES(?, ?)",
            (collection.number, bson.encode(spec, codec_options=CODEC)),
        )
        collection.build(load_index(int(cursor.lastrowid or 0), spec))
        return True

    def drop_index(self, collection: Collection, index: Index) -> None:
        """Remove an index."""
        collection.drop_index(index)
        self.connection.execute("DELETE FROM indexes WHERE number=?", (index.number,))

    def stored_bytes(self) -> int:
        """The size of the database file, in bytes."""
        (pages,) = self.connection.execute("PRAGMA page_count").fetchone()
        (size,) = self.connection.execute("PRAGMA page_size").fetchone()
        return int(pages) * int(size)


def _is_same(index: Index, spec: Document) -> bool:
    same_key = list(index.spec["key"].items()) == list(spec["key"].items())
    if index.name == spec["name"]:
        if not same_key:
            msg = f"An existing index has the same name as the requested index: {index.name}"
            raise IndexKeySpecsConflictError(msg)
        if index.spec != spec:
            msg = f"An index named {index.name} exists with other options"
            raise IndexOptionsConflictError(msg)
        return True
    if same_key and index.spec.get("partialFilterExpression") == spec.get("partialFilterExpression"):
        msg = f"Index already exists with a different name: {index.name}"
        raise IndexOptionsConflictError(msg)
    return False
