"""Results that are fetched in several batches."""

import secrets
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

from bson import Int64
from bson.raw_bson import RawBSONDocument

from app.embedded.mongo.collection import CODEC, MAX_DOCUMENT_BYTES
from app.embedded.mongo.errors import CommandError, CursorNotFoundError, QueryPlanKilledError

FIRST_BATCH = 101
"""How many documents come first when the client does not say, as with MongoDB."""

IDLE_S = 600.0
"""After this long without a request a cursor ends."""

MAX_CURSORS = 10_000
"""Above this many open cursors a new one is refused."""


class Cursor:
    """The rest of a result.

    Args:
        namespace: `database.collection`.
        documents: the result as BSON; it is continued in later transactions.
        is_kept: true when it shall not end by being idle.
    """

    def __init__(self, namespace: str, documents: Iterator[bytes], *, is_kept: bool = False) -> None:
        self.namespace = namespace
        self.is_kept = is_kept
        self.used_s = time.monotonic()
        self._documents = documents
        self._next: bytes | None = next(documents, None)

    @property
    def is_done(self) -> bool:
        """True when nothing is left."""
        return self._next is None

    def batch(self, size: int | None) -> list[RawBSONDocument]:
        """The next documents: at most `size`, and together about 16 MiB."""
        found: list[RawBSONDocument] = []
        room = MAX_DOCUMENT_BYTES
        while self._next is not None and (size is None or len(found) < size):
            room -= len(self._next)
            if found and room < 0:
                break
            found.append(RawBSONDocument(self._next, _RAW))
            self._next = next(self._documents, None)
        self.used_s = time.monotonic()
        return found


_RAW = CODEC.with_options(document_class=RawBSONDocument)


class Cursors:
    """The open cursors of the server, by id. Used by the storage thread alone."""

    def __init__(self) -> None:
        self._open: dict[int, Cursor] = {}

    def first(self, cursor: Cursor, size: int | None, *, is_single: bool = False) -> dict[str, Any]:
        """The `cursor` field of the first answer; keeps the cursor when more is to come.

        Raises:
            CommandError: too many cursors are open.
        """
        batch = cursor.batch(FIRST_BATCH if size is None else size)
        number = 0
        if not cursor.is_done and not is_single:
            if len(self._open) >= MAX_CURSORS:
                raise CommandError("too many cursors are open")
            number = secrets.randbelow(2**63 - 1) + 1
            self._open[number] = cursor
        return {"firstBatch": batch, "id": Int64(number), "ns": cursor.namespace}

    def more(self, number: int, namespace: str, size: int | None) -> dict[str, Any]:
        """The `cursor` field of a further answer.

        Raises:
            CursorNotFoundError: the cursor ended, timed out, or is of another collection.
        """
        cursor = self._open.get(number)
        if cursor is None or cursor.namespace != namespace:
            msg = f"cursor id {number} not found"
            raise CursorNotFoundError(msg)
        try:
            batch = cursor.batch(size)
        except sqlite3.OperationalError as exc:
            del self._open[number]
            msg = f"the collection or the index of the cursor was dropped: {exc}"
            raise QueryPlanKilledError(msg) from exc
        except CommandError:
            del self._open[number]
            raise
        if cursor.is_done:
            del self._open[number]
            number = 0
        return {"nextBatch": batch, "id": Int64(number), "ns": namespace}

    def kill(self, number: int) -> bool:
        """End a cursor; False when there was none."""
        return self._open.pop(number, None) is not None

    def end_idle(self) -> int:
        """End the cursors that nobody asked for in ten minutes; returns how many."""
        limit_s = time.monotonic() - IDLE_S
        idle = [number for number, cursor in self._open.items() if cursor.used_s < limit_s and not cursor.is_kept]
        for number in idle:
            del self._open[number]
        return len(idle)

    def __len__(self) -> int:
        return len(self._open)
