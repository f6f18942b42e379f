import asyncio

import pytest

from app.extract.errors import DocumentError, ExtractError
from app.stores.errors import SourceRemovedError, StaleTokenError, StoreUnavailableError, UploadPathError
from app.stores.source import SourceStatus
from app.tasks.errors import DocumentMissingError, TaskInputError
from queues.errors import LeaseLostError
from tests.integration.tasks.conftest import make_run, until
from tests.servers import MongoServer

LONG = "pdf/GeoBase_NHNC1_Data_Model_UML_EN.pdf"


async def add(world, path, tenant="t1", chatbot_id="bot"):
    return await world.stores.sources.add_document(
        tenant, chatbot_id, name=path.rpartition("/")[2], path=path, content_hash="0" * 64, size_bytes=1
    )


async def has_begun(world, source):
    return (await world.stores.sources.find(source.id)).token > 0


async def is_healthy(world):
    return (await world.stores.mongo.pool_status()).status == "healthy"


async def visible(world, source):
    found, position = [], 0
    while position is not None:
        page = await world.stores.chunks.list(source.tenant, source.id, limit=200, from_position=position)
        found += page.items
        position = page.next_position
    return found


@pytest.mark.parametrize(
    ("name", "pages", "least_characters"),
    [
        (LONG, 19, 20_000),
        ("pdf/pdflatex-outline.pdf", 4, 6000),
        ("pdf/owner-password.pdf", None, 30),
        ("docx/blk-paras-and-tables.docx", 1, 100),
    ],
)
def test_a_real_document_becomes_chunks(world, data_dir, name, pages, least_characters):
    path = world.place(data_dir / name, f"d/{name.rpartition('/')[2]}")

    async def scenario(world):
        source = await add(world, path)
        result = await world.call("process_document", source.id, path, "bot")
        return result, await world.stores.sources.get("t1", source.id), await visible(world, source)

    result, source, chunks = world.play(scenario)

    assert result == {
        "status": "success",
        "document_id": source.id,
        "chunks_created": len(chunks),
        "pages": pages or result["pages"],
        "characters": sum(len(chunk.text) for chunk in chunks),
    }
    assert result["characters"] >= least_characters
    assert [chunk.position for chunk in chunks] == list(range(len(chunks)))
    assert all(chunk.place for chunk in chunks)
    assert (source.status, source.chunks_created, source.error) == (SourceStatus.READY, len(chunks), None)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("pdf/user-password.pdf", "pdf_encrypted"),
        ("pdf/crazyones-encrypted-256.pdf", "pdf_encrypted"),
        ("pdf/git.pdf", "no_text_layer"),
    ],
)
def test_a_document_that_cannot_be_read_fails_its_source_for_good(world, data_dir, name, code):
    path = world.place(data_dir / name, "d/a.pdf")

    async def scenario(world):
        source = await add(world, path)
        with pytest.raises(DocumentError) as caught:
            await world.call("process_document", source.id, path, "bot")
        return caught.value, await world.stores.sources.get("t1", source.id)

    error, source = world.play(scenario)

    assert isinstance(error, world.tasks.get("app.tasks.process_document").give_up_on)
    assert (source.status, source.error.code, source.active_token) == (SourceStatus.FAILED, code, 0)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.pdf", b"%PDF-1.7 nothing else", "corrupt_file"),
        ("a.pdf", b"PK\x03\x04 not a pdf", "unsupported_type"),
        ("a.exe", b"MZ", "unsupported_type"),
        ("a.txt", b"", "empty_file"),
    ],
)
def test_a_file_that_is_no_document_fails_its_source(world, name, content, code):
    path = world.place(content, f"d/{name}")

    async def scenario(world):
        source = await add(world, path)
        with pytest.raises(ExtractError) as caught:
            await world.call("process_document", source.id, path, "bot")
        return caught.value, await world.stores.sources.get("t1", source.id)

    error, source = world.play(scenario)

    assert isinstance(error, world.tasks.get("app.tasks.process_document").give_up_on)
    assert (source.status, source.error.code) == (SourceStatus.FAILED, code)


@pytest.mark.parametrize(
    "path", ["../secret.txt", "/etc/passwd", "d/../../x", "", "a\nb", ".incoming/x.part", "x" * 2000]
)
def test_a_hostile_path_is_refused_and_nothing_is_written(world, path):
    async def scenario(world):
        with pytest.raises((UploadPathError, TaskInputError)) as caught:
            await world.call("process_document", "doc_1", path, "bot")
        return caught.value, await world.stores.sources.find("doc_1")

    error, source = world.play(scenario)

    assert isinstance(error, world.tasks.get("app.tasks.process_document").give_up_on)
    assert source is None


def test_a_link_out_of_the_uploads_is_refused(world, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    uploads = world.services.settings.uploads_dir
    uploads.mkdir(parents=True)
    (uploads / "a.txt").symlink_to(tmp_path / "secret.txt")

    async def scenario(world):
        with pytest.raises(UploadPathError):
            await world.call("process_document", "doc_1", "a.txt", "bot")
        return await world.stored_chunks()

    assert world.play(scenario) == []


def test_the_file_of_another_document_is_refused(world):
    path = world.place("a text of the first tenant", "d/a.txt")

    async def scenario(world):
        await add(world, path)
        with pytest.raises(UploadPathError):
            await world.call("process_document", "doc_mine", path, "bot")
        own = world.place("my own text", "e/b.txt")
        mine = await add(world, own, tenant="t2")
        with pytest.raises(UploadPathError):
            await world.call("process_document", mine.id, path, "bot")
        return await world.stored_chunks()

    assert world.play(scenario) == []


def test_the_document_of_another_chatbot_is_refused_and_stays_as_it_is(world):
    path = world.place("a text", "d/a.txt")

    async def scenario(world):
        source = await add(world, path)
        with pytest.raises(TaskInputError):
            await world.call("process_document", source.id, path, "another")
        return source, await world.stores.sources.find(source.id)

    before, after = world.play(scenario)

    assert after == before


def test_without_a_source_the_document_is_the_default_tenants(world):
    path = world.place("Some text for the default tenant.", "report.txt")

    async def scenario(world):
        result = await world.call("process_document", "doc_123", path, "bot_456")
        return result, await world.stores.sources.get("default", "doc_123")

    result, source = world.play(scenario)

    assert result["chunks_created"] == 1
    assert (source.chatbot_id, source.name, source.path) == ("bot_456", "report.txt", "report.txt")


def test_a_missing_file_fails_the_source(world):
    world.place("x", "d/other.txt")

    async def scenario(world):
        source = await add(world, "d/a.txt")
        with pytest.raises(DocumentMissingError):
            await world.call("process_document", source.id, "d/a.txt", "bot")
        return await world.stores.sources.get("t1", source.id)

    source = world.play(scenario)

    assert source.error.code == "file_missing"
    assert "data" not in source.error.detail


def test_reading_again_replaces_the_chunks(world, data_dir):
    path = world.place(data_dir / "pdf/pdflatex-outline.pdf", "d/a.pdf")

    async def scenario(world):
        source = await add(world, path)
        first = await world.call("process_document", source.id, path, "bot")
        second = await world.call("process_document", source.id, path, "bot")
        return first, second, await world.stored_chunks()

    first, second, stored = world.play(scenario)

    assert second == first
    assert len(stored) == first["chunks_created"]


def test_a_removed_source_stays_removed(world):
    path = world.place("a text", "d/a.txt")

    async def scenario(world):
        source = await add(world, path)
        await world.stores.sources.remove("t1", source.id)
        with pytest.raises(SourceRemovedError):
            await world.call("process_document", source.id, path, "bot")
        return await world.stored_chunks()

    assert world.play(scenario) == []


def test_a_run_killed_in_the_middle_is_replaced_whole(world, data_dir, monkeypatch):
    path = world.place(data_dir / LONG, "d/a.pdf")

    async def scenario(world):
        source = await add(world, path)
        write, is_in_the_middle = world.stores.chunks.write, asyncio.Event()

        async def write_and_wait(*arguments):
            await write(*arguments)
            is_in_the_middle.set()
            await asyncio.Event().wait()

        with monkeypatch.context() as patch:
            patch.setattr(world.stores.chunks, "write", write_and_wait)
            killed = asyncio.create_task(world.attempt(make_run(1), "process_document", source.id, path, "bot"))
            await is_in_the_middle.wait()
            killed.cancel()
            await asyncio.wait([killed])
        between = await world.stores.sources.find(source.id)
        unseen = await visible(world, source)
        result = await world.attempt(make_run(2, attempt=1), "process_document", source.id, path, "bot")
        return between, unseen, result, await visible(world, source), await world.stored_chunks()

    between, unseen, result, chunks, stored = world.play(scenario)

    assert (between.status, between.active_token) == (SourceStatus.PROCESSING, 0)
    assert unseen == []
    assert [chunk.position for chunk in chunks] == list(range(result["chunks_created"]))
    assert {chunk.token for chunk in chunks} == {2}
    assert len(stored) == len(chunks)


def test_of_two_runs_at_once_the_newer_wins_whole(world, data_dir):
    path = world.place(data_dir / LONG, "d/a.pdf")

    async def scenario(world):
        source = await add(world, path)
        outcomes = await asyncio.gather(
            *[world.attempt(make_run(token), "process_document", source.id, path, "bot") for token in (2, 1, 3)],
            return_exceptions=True,
        )
        now = await world.stores.sources.find(source.id)
        await world.call("cleanup_old_data")
        return outcomes, now, await visible(world, source), await world.stored_chunks()

    outcomes, source, chunks, stored = world.play(scenario)

    assert all(isinstance(outcome, StaleTokenError) or outcome["status"] == "success" for outcome in outcomes)
    assert outcomes[2]["status"] == "success"
    assert (source.status, source.active_token) == (SourceStatus.READY, 3)
    assert [chunk.position for chunk in chunks] == list(range(source.chunks_created))
    assert len(stored) == len(chunks)


def test_a_database_that_dies_in_the_middle_costs_an_attempt_and_no_chunk(make_world, data_dir, tmp_path):
    with MongoServer(tmp_path / "mongo") as server:
        world = make_world(mongo_url=f"{server.url}/?serverSelectionTimeoutMS=300")
        path = world.place(data_dir / LONG, "d/a.pdf")

        async def scenario(world):
            source = await add(world, path)
            first = asyncio.create_task(world.attempt(make_run(1), "process_document", source.id, path, "bot"))
            await until(lambda: has_begun(world, source))
            await asyncio.to_thread(server.kill)
            with pytest.raises(StoreUnavailableError):
                await first
            await asyncio.to_thread(server.restart)
            # The driver looks again every half second; a real attempt comes a minute later.
            await until(lambda: is_healthy(world))
            result = await world.attempt(make_run(2, attempt=2), "process_document", source.id, path, "bot")
            return result, await visible(world, source), await world.stored_chunks()

        result, chunks, stored = world.play(scenario)

    assert [chunk.position for chunk in chunks] == list(range(result["chunks_created"]))
    assert len(stored) == len(chunks)


def test_a_run_that_lost_its_lease_stops_and_marks_nothing(world, data_dir):
    path = world.place(data_dir / LONG, "d/a.pdf")
    run = make_run(1)
    run.is_lost = True

    async def scenario(world):
        source = await add(world, path)
        with pytest.raises(LeaseLostError):
            await world.attempt(run, "process_document", source.id, path, "bot")
        return await world.stores.sources.find(source.id)

    assert world.play(scenario).status is SourceStatus.PROCESSING


def test_a_cancelled_run_says_so_on_the_source(world, data_dir):
    path = world.place(data_dir / LONG, "d/a.pdf")
    run = make_run(1)

    async def scenario(world):
        source = await add(world, path)
        task = asyncio.create_task(world.attempt(run, "process_document", source.id, path, "bot"))
        await until(lambda: has_begun(world, source))
        run.enter(task)
        run.stop(is_lost=False)
        await asyncio.wait([task])
        return await world.stores.sources.find(source.id)

    source = world.play(scenario)

    assert (source.status, source.error.code) == (SourceStatus.FAILED, "cancelled")


def test_progress_is_told_page_by_page(world, data_dir):
    path = world.place(data_dir / LONG, "d/a.pdf")
    run = make_run(1)

    async def scenario(world):
        source = await add(world, path)
        await world.attempt(run, "process_document", source.id, path, "bot")

    world.play(scenario)

    assert run.progress.startswith("[19,19")
