"""The fenced effects: rows that take a write only under a newer token than the last, as a task's own database would.

They lie in several SQLite files, so that a process that is stopped in the middle of a write holds up few others.
"""

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.ledger import mono_ms

FILES = 16
BUSY_S = 30.0
SCHEMA = """
create table if not exists rows (name text primary key, token integer not null);
create table if not exists writes (
    place integer primary key autoincrement, name text not null, token integer not null,
    was_taken integer not null, pid integer not null, mono_ms real not null);
"""
COMPARE_AND_SET = """
insert into rows (name, token) values (?, ?)
on conflict (name) do update set token = excluded.token where rows.token < excluded.token
"""


@dataclass(frozen=True, slots=True)
class Write:
    """One try to write a row, in the order in which they were decided."""

    name: str
    token: int
    was_taken: bool
    pid: int
    mono_ms: float


class Rows:
    """The rows of one run.

    Args:
        folder: holds the files; made by `create`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self) -> None:
        """Make the files, before any worker writes."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for number in range(FILES):
            with closing(self._connect(number)) as connection:
                connection.execute("pragma journal_mode = wal")
                connection.executescript(SCHEMA)

    def write(self, name: str, token: int, pid: int) -> bool:
        """Write the row under `token`; False when a newer token has written it."""
        with closing(self._connect(zlib.crc32(name.encode()) % FILES)) as connection:
            connection.execute("begin immediate")
            was_taken = connection.execute(COMPARE_AND_SET, (name, token)).rowcount == 1
            values = (name, token, was_taken, pid, mono_ms())
            connection.execute(
                "insert into writes (name, token, was_taken, pid, mono_ms) values (?, ?, ?, ?, ?)", values
            )
            connection.execute("commit")
        return was_taken

    def history(self) -> Iterator[Write]:
        """Every try, in order for each name."""
        for number in range(FILES):
            with closing(self._connect(number)) as connection:
                found = connection.execute("select name, token, was_taken, pid, mono_ms from writes order by place")
                for name, token, was_taken, pid, when_ms in found:
                    yield Write(name, token, bool(was_taken), pid, when_ms)

    def _connect(self, number: int) -> sqlite3.Connection:
        path = self._folder / f"rows-{number}.sqlite"
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        connection.execute("pragma synchronous = full")
        return connection
