"""The storage thread: commands are kept whole, in groups, and one that fails undoes only itself."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from app.embedded.mongo.engine import DataFormatError, Engine
from app.embedded.mongo.errors import CommandError
from app.embedded.mongo.storage import Storage


def insert(number: int, text: str = "") -> object:
    return lambda engine: engine.ensure("t", "x").insert({"_id": number, "text": text})


def ids(engine: Engine) -> list[bytes]:
    return [row[0] for row in engine.connection.execute("SELECT seq FROM documents_1")]


def insert_then_fail(engine: Engine) -> None:
    engine.ensure("t", "x").insert({"_id": 99})
    engine.ensure("t", "made by a command that fails")
    raise CommandError("refused")


def test_a_command_that_fails_undoes_itself_and_not_its_neighbours(tmp_path):
    storage = Storage(tmp_path / "d")

    async def work() -> list[object]:
        commands = [insert(1), insert_then_fail, insert(2)]
        return await asyncio.gather(*(storage.run(command) for command in commands), return_exceptions=True)

    answers = asyncio.run(work())
    storage.close()

    again = Engine(tmp_path / "d")
    assert [type(answer) for answer in answers] == [type(None), CommandError, type(None)]
    assert len(ids(again)) == 2
    assert [collection.name for collection in again.collections("t")] == ["x"]
    again.close()


def test_a_full_disk_is_an_error_and_leaves_the_data_and_the_server_usable(tmp_path):
    storage = Storage(tmp_path / "d")

    async def work() -> None:
        await storage.run(insert(1))
        await storage.run(lambda engine: engine.connection.execute("PRAGMA max_page_count=40").fetchone())
        with pytest.raises((sqlite3.OperationalError, CommandError), match="full"):
            await storage.run(insert(2, "x" * 1_000_000))
        await storage.run(insert(3))

    asyncio.run(work())
    storage.close()

    again = Engine(tmp_path / "d")
    assert len(ids(again)) == 2
    again.close()


def test_every_commit_is_synced_to_the_disk(tmp_path):
    engine = Engine(tmp_path / "d")

    (level,), (journal,) = (
        engine.connection.execute(f"PRAGMA {name}").fetchone() for name in ("synchronous", "journal_mode")
    )

    assert (level, journal) == (2, "wal")
    engine.close()


def test_work_that_waits_when_the_storage_closes_is_still_done(tmp_path):
    storage = Storage(tmp_path / "d")

    async def work() -> None:
        tasks = [asyncio.create_task(storage.run(insert(number))) for number in range(50)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()

    asyncio.run(work())
    storage.close()

    again = Engine(tmp_path / "d")
    assert len(ids(again)) == 50
    again.close()


def test_a_file_of_another_version_is_refused(tmp_path: Path):
    with sqlite3.connect(tmp_path / "d") as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()

    with pytest.raises(DataFormatError, match="format 99"):
        Storage(tmp_path / "d")
