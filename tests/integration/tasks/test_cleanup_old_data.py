import os
from datetime import timedelta

import pytest

from app.stores.chunks import NewChunk
from app.stores.clock import utc_now
from app.stores.source import Outcome, SourceFailure
from app.tasks.errors import TaskInputError
from queues.errors import LeaseLostError, TaskCancelledError
from tests.integration.submitted import entry
from tests.integration.tasks.conftest import make_run

NONE_REMOVED = {"sources": 0, "files": 0, "chunks": 0, "notifications": 0, "reports": 0, "tasks": 0}


def add(world, name, path=None):
    return world.stores.sources.add_document(
        "t1", "bot", name=name, path=path or f"{name}/file.txt", content_hash="0" * 64, size_bytes=1
    )


def age(world, path, days):
    at_s = (utc_now() - timedelta(days=days)).timestamp()
    os.utime(world.services.settings.uploads_dir / path, (at_s, at_s))


async def make_old(world, collection, field, days, record_id=None):
    where = {} if record_id is None else {"_id": record_id}
    changed = await world.stores.mongo.collection(collection).update(
        where, {"$set": {field: utc_now() - timedelta(days=days)}}
    )
    assert changed


async def ready(world, name, token=1):
    source = await add(world, name)
    await world.stores.source_runs.begin(source.id, token)
    await world.stores.chunks.write(source, token, [NewChunk(n, "text", "line 1") for n in range(3)])
    await world.stores.source_runs.activate(source.id, token, Outcome(3, 12, 1))
    return source


def test_with_nothing_old_nothing_is_removed(world):
    world.place("text", "ready/file.txt")

    async def scenario(world):
        await ready(world, "ready")
        return await world.call("cleanup_old_data"), len(await world.stored_chunks())

    result, chunks = world.play(scenario)

    assert result == {"status": "success", "days": 30, "removed": NONE_REMOVED}
    assert chunks == 3


def test_what_ended_long_ago_goes_with_its_file_and_chunks(world):
    for name in ("failed", "removed", "young", "ready"):
        world.place("text", f"{name}/file.txt")
        age(world, f"{name}/file.txt", 31)

    async def scenario(world):
        failed, removed, young = [await add(world, name) for name in ("failed", "removed", "young")]
        kept = await ready(world, "ready")
        for source in (failed, young):
            await world.stores.source_runs.begin(source.id, 1)
            await world.stores.chunks.write(source, 1, [NewChunk(0, "text", "line 1")])
            await world.stores.source_runs.fail(source.id, 1, SourceFailure("corrupt_file", ""))
        await world.stores.sources.remove("t1", removed.id)
        for source in (failed, removed, kept):
            await make_old(world, "sources", "updated_at", 31, source.id)
        result = await world.call("cleanup_old_data")
        left = [each.id for each in (await world.stores.sources.after("", 10))]
        return result, {young.id, kept.id}, left, await world.call("cleanup_old_data")

    result, kept, left, again = world.play(scenario)
    files = {path.parent.name for path in world.services.settings.uploads_dir.rglob("*.txt")}

    assert result["removed"] == {**NONE_REMOVED, "sources": 2, "files": 2, "chunks": 2}
    assert set(left) == kept
    assert files == {"young", "ready"}
    assert again["removed"] == NONE_REMOVED


def test_a_file_that_came_again_after_its_source_was_removed_stays(world):
    path = world.place("text", "a/file.txt")
    age(world, path, 40)

    async def scenario(world):
        first = await add(world, "a")
        await world.stores.sources.remove("t1", first.id)
        second = await add(world, "a")
        await make_old(world, "sources", "updated_at", 31, first.id)
        result = await world.call("cleanup_old_data")
        return first, second, result, [each.id for each in await world.stores.sources.after("", 10)]

    first, second, result, left = world.play(scenario)

    assert (first.path, left) == (second.path, [second.id])
    assert result["removed"] == {**NONE_REMOVED, "sources": 1}
    assert (world.services.settings.uploads_dir / path).exists()


def test_a_failed_source_that_is_submitted_again_is_not_old(world):
    async def scenario(world):
        source = await add(world, "a")
        await world.stores.source_runs.fail(source.id, 1, SourceFailure("corrupt_file", ""))
        await make_old(world, "sources", "updated_at", 31)
        again = await add(world, "a")
        return source, again, await world.call("cleanup_old_data")

    source, again, result = world.play(scenario)

    assert again.id == source.id
    assert result["removed"] == NONE_REMOVED


def test_an_old_file_of_no_source_goes(world):
    for path in ("orphan/a.txt", "young/a.txt", "owned/file.txt", ".incoming/x.part"):
        world.place("text", path)
        age(world, path, 1 if path.startswith("young") else 40)

    async def scenario(world):
        await add(world, "owned")
        return await world.call("cleanup_old_data")

    result = world.play(scenario)
    left = {path.parent.name for path in world.services.settings.uploads_dir.rglob("*") if path.is_file()}

    assert result["removed"] == {**NONE_REMOVED, "files": 2}
    assert left == {"young", "owned"}


def test_a_record_with_a_hostile_path_removes_no_file_outside(world, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "secret.txt").write_text("secret")

    async def scenario(world):
        source = await add(world, "bad", path="../secret.txt")
        await world.stores.sources.remove("t1", source.id)
        await make_old(world, "sources", "updated_at", 31)
        return await world.call("cleanup_old_data")

    result = world.play(scenario)

    assert result["removed"] == {**NONE_REMOVED, "sources": 1}
    assert (tmp_path / "data" / "secret.txt").exists()


def test_old_notifications_reports_and_tasks_go(world):
    async def scenario(world):
        for number in range(3):
            await world.call("send_notification", "ann", f"Note {number}", "Words")
        await world.call("generate_analytics_report", "bot")
        await world.stores.task_history.write([entry()])
        for collection in ("notifications", "reports"):
            await make_old(world, collection, "created_at", 8)
        await make_old(world, "tasks", "submitted_at", 8)
        kept = await world.call("cleanup_old_data", 9)
        return kept, await world.call("cleanup_old_data", 7)

    kept, result = world.play(scenario)

    assert kept["removed"] == NONE_REMOVED
    assert result["removed"] == {**NONE_REMOVED, "notifications": 1, "reports": 1, "tasks": 1}


def test_more_than_one_batch_goes_in_one_run(world):
    async def scenario(world):
        reports = world.stores.mongo.collection("reports")
        old = utc_now() - timedelta(days=99)
        await reports.insert_missing([{"_id": f"rep_{n}", "created_at": old} for n in range(1203)])
        return await world.call("cleanup_old_data"), await reports.count({})

    result, left = world.play(scenario)

    assert (result["removed"]["reports"], left) == (1203, 0)


@pytest.mark.parametrize(("field", "error"), [("is_lost", LeaseLostError), ("is_cancelled", TaskCancelledError)])
def test_a_run_that_must_stop_stops_and_the_next_goes_on(world, field, error):
    run = make_run(1)
    setattr(run, field, True)

    async def scenario(world):
        source = await add(world, "gone")
        await world.stores.sources.remove("t1", source.id)
        await make_old(world, "sources", "updated_at", 31)
        with pytest.raises(error):
            await world.attempt(run, "cleanup_old_data")
        return await world.attempt(make_run(2), "cleanup_old_data")

    assert world.play(scenario)["removed"]["sources"] == 1


@pytest.mark.parametrize("days", [0, -1, 36_501, True, 1.5, "30", None])
def test_days_that_cannot_be_used_remove_nothing(world, days):
    world.place("text", "orphan.txt")
    age(world, "orphan.txt", 40)

    async def scenario(world):
        with pytest.raises(TaskInputError):
            await world.call("cleanup_old_data", days)

    world.play(scenario)

    assert (world.services.settings.uploads_dir / "orphan.txt").exists()
