"""One collection in SQLite: documents in a table, each index in a table of its own.

`documents_N(seq, key, doc)`: `seq` is the natural order, `key` the order key of `_id`, `doc` BSON.
`index_N(key, seq)`: the order keys of the indexed fields. Only the storage thread comes here.
"""
# ruff: noqa: S608 the names in these statements are our own words and numbers, every value is a parameter

import sqlite3
from collections.abc import Iterator
from itertools import chain
from typing import Any

import bson
from bson import CodecOptions, DatetimeConversion

from app.embedded.mongo.errors import BadValueError, CommandError, DocumentTooLargeError, DuplicateKeyError
from app.embedded.mongo.indexes import Index, id_index
from app.embedded.mongo.ordering import order_key
from app.embedded.mongo.paths import Document
from app.embedded.mongo.planning import Plan, Range

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
"""The most that one document may have as BSON."""

CODEC: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
"""Dates stay the 64 bit milliseconds that they are: no range and no timezone is lost."""

_FIRST_PAGE, _LAST_PAGE = 64, 1024
Row = tuple[int, bytes]


class InvalidIdError(CommandError):
    """`_id` is an array or a regular expression."""

    code, code_name = 53, "InvalidIdField"


def encode(document: Document) -> bytes:
    """The document as BSON.

    Raises:
        DocumentTooLargeError: above 16 MiB.
        BadValueError: it cannot be BSON, such as a name with a null character.
    """
    try:
        raw = bson.encode(document, codec_options=CODEC)
    except (bson.errors.BSONError, OverflowError, RecursionError) as exc:
        msg = f"the document cannot be stored: {exc}"
        raise BadValueError(msg) from exc
    if len(raw) > MAX_DOCUMENT_BYTES:
        msg = f"the document has {len(raw)} bytes, above the maximum of {MAX_DOCUMENT_BYTES}"
        raise DocumentTooLargeError(msg)
    return raw


def decode(raw: bytes) -> Document:
    """The document of stored BSON."""
    return bson.decode(raw, codec_options=CODEC)


class Collection:
    """The documents of one namespace, and its indexes.

    Args:
        connection: the storage thread's.
        number: the collection's number in the catalog, which names its table.
        namespace: `database.collection`.
        indexes: all but the one on `_id`.
    """

    def __init__(
        self, connection: sqlite3.Connection, number: int, namespace: tuple[str, str], indexes: list[Index]
    ) -> None:
        self._connection = connection
        self.number = number
        self.database, self.name = namespace
        self.indexes = [id_index(), *indexes]
        self._table = f"documents_{number}"

    @property
    def namespace(self) -> str:
        """`database.collection`."""
        return f"{self.database}.{self.name}"

    def create_table(self) -> None:
        """Make the table of a new collection."""
        self._connection.execute(
            f"CREATE TABLE {self._table}(seq INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, doc BLOB NOT NULL)"
        )

    def drop_tables(self) -> None:
        """Remove all documents and index entries."""
        for index in self.indexes[1:]:
            self._connection.execute(f"DROP TABLE {_table(index)}")
        self._connection.execute(f"DROP TABLE {self._table}")

    def insert(self, document: Document) -> None:
        """Store a new document, which has its `_id`.

        Raises:
            DuplicateKeyError: a unique index holds one of its keys; nothing is stored.
            DocumentTooLargeError: above 16 MiB.
        """
        raw = encode(document)
        key = identity_key(document["_id"])
        entries = [(index, index.keys(document)) for index in self.indexes[1:]]
        if self._connection.execute(f"SELECT 1 FROM {self._table} WHERE key=?", (key,)).fetchone():
            raise self._duplicate(self.indexes[0], document)
        for index, keys in entries:
            self._check_unique(index, keys, document)
        cursor = self._connection.execute(f"INSERT INTO {self._table}(key, doc) VALUES(?, ?)", (key, raw))
        for index, keys in entries:
            self._add_entries(index, keys, int(cursor.lastrowid or 0))

    def replace(self, seq: int, old: Document, new: Document, raw: bytes) -> None:
        """Store `new`, encoded as `raw`, in the place of `old`, which has the same `_id`.

        Raises:
            DuplicateKeyError: a unique index holds one of its new keys; nothing is changed.
        """
        changes = []
        for index in self.indexes[1:]:
            before, after = index.keys(old), index.keys(new)
            if before != after:
                self._check_unique(index, after - before, new)
                changes.append((index, before - after, after - before))
        self._connection.execute(f"UPDATE {self._table} SET doc=? WHERE seq=?", (raw, seq))
        for index, gone, added in changes:
            self._remove_entries(index, gone, seq)
            self._add_entries(index, added, seq)

    def delete(self, seq: int, document: Document) -> None:
        """Remove a document and its index entries."""
        for index in self.indexes[1:]:
            self._remove_entries(index, index.keys(document), seq)
        self._connection.execute(f"DELETE FROM {self._table} WHERE seq=?", (seq,))

    def build(self, index: Index) -> None:
        """Make the table of a new index and fill it from the documents.

        Raises:
            DuplicateKeyError: the index is unique and two documents have one key.
        """
        table = _table(index)
        self._connection.execute(
            f"CREATE TABLE {table}(key BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY(key, seq)) WITHOUT ROWID"
        )
        for seq, raw in self.rows(Plan(None)):
            document = decode(raw)
            keys = index.keys(document)
            self._check_unique(index, keys, document)
            self._add_entries(index, keys, seq)
        self.indexes.append(index)

    def drop_index(self, index: Index) -> None:
        """Remove an index and its entries."""
        self.indexes.remove(index)
        self._connection.execute(f"DROP TABLE {_table(index)}")

    def count(self, plan: Plan) -> int:
        """How many documents an exact plan finds, from the index alone."""
        if plan.index is None:
            return int(self._connection.execute(f"SELECT count(*) FROM {self._table}").fetchone()[0])
        table = self._index_table(plan.index)
        query = f"SELECT count(*) FROM {table} WHERE key>=? AND key<?"
        return sum(int(self._connection.execute(query, ends).fetchone()[0]) for ends in plan.ranges)

    def rows(self, plan: Plan) -> Iterator[Row]:
        """Each document that the plan finds, once, with its number.

        It reads page by page and holds nothing open in between, so it may be continued in a later
        transaction; what was written meanwhile may or may not be seen, as with MongoDB's cursors.
        """
        if plan.index is None:
            return self._natural()
        rows = chain.from_iterable(self._in_range(plan, plan.index, ends) for ends in plan.ranges)
        return _once(rows) if plan.index.is_multikey else rows

    def row(self, seq: int) -> Row | None:
        """The document of a number, or None when it is gone."""
        found = self._connection.execute(f"SELECT seq, doc FROM {self._table} WHERE seq=?", (seq,)).fetchone()
        return None if found is None else (int(found[0]), bytes(found[1]))

    def stored_bytes(self) -> int:
        """The size of all documents, without their indexes."""
        found = self._connection.execute(f"SELECT coalesce(sum(length(doc)), 0) FROM {self._table}").fetchone()
        return int(found[0])

    def _natural(self) -> Iterator[Row]:
        last, size = -1, _FIRST_PAGE
        query = f"SELECT seq, doc FROM {self._table} WHERE seq>? ORDER BY seq LIMIT ?"
        while page := self._connection.execute(query, (last, size)).fetchall():
            yield from page
            last, size = page[-1][0], _LAST_PAGE

    def _in_range(self, plan: Plan, index: Index, ends: Range) -> Iterator[Row]:
        start, end = ends
        order, after = ("DESC", "<") if plan.is_backward else ("ASC", ">")
        if index.number == 0:
            source, value = f"{self._table} AS i", "i.doc"
        else:
            source, value = f"{_table(index)} AS i CROSS JOIN {self._table} AS d ON d.seq=i.seq", "d.doc"
        select = f"SELECT i.key, i.seq, {value} FROM {source} WHERE i.key>=? AND i.key<?"
        tail = f"ORDER BY i.key {order}, i.seq {order} LIMIT ?"
        more: tuple[Any, ...] = ()
        size = _FIRST_PAGE
        while True:
            further = f"AND (i.key, i.seq) {after} (?, ?)" if more else ""
            page = self._connection.execute(f"{select} {further} {tail}", (start, end, *more, size)).fetchall()
            for _, seq, raw in page:
                yield seq, raw
            if len(page) < size:
                return
            more, size = (page[-1][0], page[-1][1]), _LAST_PAGE

    def _index_table(self, index: Index) -> str:
        return self._table if index.number == 0 else _table(index)

    def _check_unique(self, index: Index, keys: set[bytes], document: Document) -> None:
        if index.is_unique:
            query = f"SELECT 1 FROM {_table(index)} WHERE key=? LIMIT 1"
            if any(self._connection.execute(query, (key,)).fetchone() for key in keys):
                raise self._duplicate(index, document)

    def _add_entries(self, index: Index, keys: set[bytes], seq: int) -> None:
        query = f"INSERT INTO {_table(index)} VALUES(?, ?)"
        for key in keys:
            self._connection.execute(query, (key, seq))
        if index.is_multikey and not index.is_multikey_saved:
            self._connection.execute("UPDATE indexes SET multikey=1 WHERE number=?", (index.number,))
            index.is_multikey_saved = True

    def _remove_entries(self, index: Index, keys: set[bytes], seq: int) -> None:
        query = f"DELETE FROM {_table(index)} WHERE key=? AND seq=?"
        self._connection.executemany(query, [(key, seq) for key in keys])

    def _duplicate(self, index: Index, document: Document) -> DuplicateKeyError:
        value = index.key_value(document)
        fields = ", ".join(f"{name}: {part!r}" for name, part in value.items())
        message = f"E11000 duplicate key error collection: {self.namespace} index: {index.name} dup key: {{ {fields} }}"
        return DuplicateKeyError(message[:4096], keyPattern=index.spec["key"], keyValue=value)


def identity_key(identity: Any) -> bytes:
    """The key of an `_id`.

    Raises:
        InvalidIdError: an array or a regular expression.
    """
    if isinstance(identity, list | bson.Regex):
        msg = f"The '_id' value cannot be of type {type(identity).__name__}"
        raise InvalidIdError(msg)
    return order_key(identity)


def _table(index: Index) -> str:
    return f"index_{index.number}"


def _once(rows: Iterator[Row]) -> Iterator[Row]:
    seen: set[int] = set()
    for seq, raw in rows:
        if seq not in seen:
            seen.add(seq)
            yield seq, raw
