import asyncio

import pytest

from app.fetch.errors import FetchError, HttpStatusError
from app.stores.source import SourceStatus
from app.tasks.errors import PageRefusedError, TaskInputError
from queues import Retry
from tests.integration.tasks.conftest import make_run

TEXT = "Valkeys are kept in the great hall, where each key opens one lock and no lock opens twice. " * 4


@pytest.fixture
def world(make_world, web):
    return make_world(fetch_allow=web.allowed)


async def source_of(world, url, tenant="default"):
    page = await world.stores.sources.list(tenant, limit=200)
    return next((source for source in page.items if source.url == url), None)


def test_a_page_becomes_a_source_with_chunks(world, web):
    web.page("/hall", TEXT, title="The hall")

    async def scenario(world):
        result = await world.call("scrape_website", f"{web.url}/hall", "bot")
        source = await source_of(world, f"{web.url}/hall")
        return result, source, await world.stores.chunks.list("default", source.id)

    result, source, chunks = world.play(scenario)

    assert result == {
        "status": "success",
        "pages_seen": 1,
        "pages_changed": 1,
        "pages_unchanged": 0,
        "chunks_created": len(chunks.items),
        "skipped": [],
    }
    assert (source.name, source.language, source.status) == ("The hall", "en", SourceStatus.READY)
    assert "no lock opens twice" in chunks.items[0].text
    assert chunks.items[0].place == "The hall"


def test_an_unchanged_page_writes_nothing(world, web):
    web.page("/hall", TEXT)

    async def scenario(world):
        await world.call("scrape_website", f"{web.url}/hall", "bot")
        before = await source_of(world, f"{web.url}/hall"), await world.stored_chunks()
        result = await world.call("scrape_website", f"{web.url}/hall", "bot")
        return before, result, (await source_of(world, f"{web.url}/hall"), await world.stored_chunks())

    before, result, after = world.play(scenario)

    assert after == before
    assert (result["pages_changed"], result["pages_unchanged"], result["chunks_created"]) == (0, 1, 0)


def test_a_changed_page_replaces_its_chunks(world, web):
    async def scenario(world):
        web.page("/hall", TEXT)
        await world.call("scrape_website", f"{web.url}/hall", "bot")
        web.page("/hall", TEXT.replace("great", "small"))
        result = await world.call("scrape_website", f"{web.url}/hall", "bot")
        return result, await world.stored_chunks(), await world.stores.sources.list("default")

    result, stored, sources = world.play(scenario)

    assert result["pages_changed"] == 1
    assert len(stored) == result["chunks_created"]
    assert all("small hall" in chunk["text"] for chunk in stored)
    assert len(sources.items) == 1


def test_a_crawl_keeps_each_page_as_a_source_of_its_own(world, web):
    web.page("/", TEXT, title="Home", links=("/a", "/b", "/gone"))
    web.page("/a", f"{TEXT} About a.", title="A", links=("/", "/b"))
    web.page("/b", f"{TEXT} About b.", title="B")

    async def scenario(world):
        first = await world.call("scrape_website", f"{web.url}/", "bot", max_pages=10, max_depth=1, tenant="t1")
        web.page("/b", f"{TEXT} About b, rewritten.", title="B")
        again = await world.call("scrape_website", f"{web.url}/", "bot", max_pages=10, max_depth=1, tenant="t1")
        return first, again, await world.stores.sources.list("t1", chatbot_id="bot")

    first, again, sources = world.play(scenario)

    assert (first["pages_seen"], first["pages_changed"]) == (3, 3)
    assert first["skipped"] == [{"url": f"{web.url}/gone", "code": "http_status"}]
    assert (again["pages_changed"], again["pages_unchanged"]) == (1, 2)
    assert {source.name for source in sources.items} == {"Home", "A", "B"}
    assert {source.status for source in sources.items} == {SourceStatus.READY}


def test_a_crawl_stops_at_its_pages(world, web):
    web.page("/", TEXT, links=("/a", "/b"))
    web.page("/a", f"{TEXT} a")
    web.page("/b", f"{TEXT} b")

    async def scenario(world):
        return await world.call("scrape_website", f"{web.url}/", "bot", max_pages=2, max_depth=3)

    result = world.play(scenario)

    assert result["pages_seen"] == 2
    assert result["skipped"][-1]["code"] == "max_pages"


@pytest.mark.parametrize(
    ("status", "headers", "code"),
    [(404, {}, "http_status"), (200, {"Content_Type": "image/png"}, "unsupported_content")],
)
def test_a_page_that_cannot_be_had_fails_its_source_for_good(world, web, status, headers, code):
    web.answer("/x", "nothing", status, **headers)

    async def scenario(world):
        with pytest.raises(PageRefusedError) as caught:
            await world.call("scrape_website", f"{web.url}/x", "bot")
        return caught.value, await source_of(world, f"{web.url}/x")

    error, source = world.play(scenario)

    assert isinstance(error, world.tasks.get("app.tasks.scrape_website").give_up_on)
    assert (error.code, source.status, source.error.code) == (code, SourceStatus.FAILED, code)


@pytest.mark.parametrize(
    ("html", "code"),
    [
        ("<html><body></body></html>", "no_text"),
        ("", "no_text"),
        ("<html><head><meta name=robots content=noindex></head><body><p>hidden words</p></body></html>", "noindex"),
    ],
)
def test_a_page_with_nothing_to_keep_fails_its_source(world, web, html, code):
    web.answer("/x", html)

    async def scenario(world):
        with pytest.raises(PageRefusedError) as caught:
            await world.call("scrape_website", f"{web.url}/x", "bot")
        return caught.value, await source_of(world, f"{web.url}/x"), await world.stored_chunks()

    error, source, stored = world.play(scenario)

    assert (error.code, source.error.code) == (code, code)
    assert stored == []


def test_a_busy_site_is_asked_again_when_it_says(world, web):
    web.answer("/x", "later", 503, Retry_After="120")

    async def scenario(world):
        with pytest.raises(Retry) as caught:
            await world.attempt(make_run(1), "scrape_website", f"{web.url}/x", "bot")
        return caught.value, await source_of(world, f"{web.url}/x")

    signal, source = world.play(scenario)

    assert signal.delay == 120
    assert (source.status, source.error.code) == (SourceStatus.PENDING, "http_status")


def test_a_busy_site_fails_at_the_last_attempt(world, web):
    web.answer("/x", "later", 503, Retry_After="120")

    async def scenario(world):
        with pytest.raises(HttpStatusError):
            await world.attempt(make_run(1, attempt=4), "scrape_website", f"{web.url}/x", "bot")
        return await source_of(world, f"{web.url}/x")

    assert world.play(scenario).status is SourceStatus.FAILED


def test_an_unreachable_site_is_tried_again(make_world, closed_port):
    world = make_world(fetch_allow=f"127.0.0.1:{closed_port}")

    async def scenario(world):
        with pytest.raises(FetchError) as caught:
            await world.call("scrape_website", f"http://127.0.0.1:{closed_port}/", "bot")
        return caught.value, await source_of(world, f"http://127.0.0.1:{closed_port}/")

    error, source = world.play(scenario)

    assert error.is_retryable
    assert source.status is SourceStatus.PENDING


def test_an_address_that_is_not_allowed_is_refused(make_world, web):
    world = make_world()

    async def scenario(world):
        with pytest.raises(PageRefusedError) as caught:
            await world.call("scrape_website", f"{web.url}/", "bot")
        return caught.value

    assert world.play(scenario).code == "address_refused"
    assert web.asked == []


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("file:///etc/passwd", {}),
        ("http://user:secret@example.com/", {}),
        ("", {}),
        ("http://example.com/", {"max_pages": 0}),
        ("http://example.com/", {"max_pages": 501}),
        ("http://example.com/", {"max_depth": -1}),
        ("http://example.com/", {"chatbot_id": ""}),
        ("http://example.com/", {"tenant": "a\nb"}),
    ],
)
def test_arguments_that_cannot_be_used_make_no_source(world, url, options):
    async def scenario(world):
        with pytest.raises(TaskInputError):
            await world.call("scrape_website", **{"url": url, "chatbot_id": "bot", **options})
        return await world.stores.sources.list("default")

    assert world.play(scenario).items == ()


def test_two_crawls_of_one_page_at_once_leave_one_whole_copy(world, web):
    web.page("/", TEXT)

    async def scenario(world):
        outcomes = await asyncio.gather(
            *[
                world.attempt(make_run(token), "scrape_website", f"{web.url}/", "bot", max_pages=token)
                for token in (1, 2, 3)
            ],
            return_exceptions=True,
        )
        await world.call("cleanup_old_data")
        source = await source_of(world, f"{web.url}/")
        return outcomes, source, await world.stores.chunks.list("default", source.id), await world.stored_chunks()

    outcomes, source, chunks, stored = world.play(scenario)

    assert any(isinstance(outcome, dict) for outcome in outcomes)
    assert source.status is SourceStatus.READY
    assert len(chunks.items) == len(stored) == source.chunks_created > 0


def test_a_page_that_fails_later_keeps_what_was_read(world, web):
    async def scenario(world):
        web.page("/", TEXT)
        await world.call("scrape_website", f"{web.url}/", "bot")
        web.answer("/", "gone", 410)
        with pytest.raises(PageRefusedError):
            await world.call("scrape_website", f"{web.url}/", "bot")
        source = await source_of(world, f"{web.url}/")
        return source, await world.stores.chunks.list("default", source.id)

    source, chunks = world.play(scenario)

    assert source.status is SourceStatus.FAILED
    assert len(chunks.items) == source.chunks_created > 0
