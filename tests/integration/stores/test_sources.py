import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from app.fetch.errors import InvalidUrlError
from app.stores.errors import SourceRemovedError, StaleTokenError
from app.stores.paging import Page
from app.stores.source import ActiveSource, Outcome, SourceFailure, SourceKind, SourceStatus

OUTCOME = Outcome(chunks_created=3, characters=2500, pages=2)


def upload(stores, name="a.pdf", tenant="t1", chatbot_id="bot"):
    return stores.sources.add_document(
        tenant, chatbot_id, name=name, path=f"x/{name}", content_hash="f" * 64, size_bytes=10
    )


def test_the_same_upload_at_once_makes_one_source(run):
    async def scenario(stores):
        made = await asyncio.gather(*[upload(stores) for _ in range(5)])
        return made, await stores.sources.list("t1")

    made, page = run(scenario)

    assert len({source.id for source in made}) == 1
    assert len(page.items) == 1


def test_a_source_is_read_back_as_it_was_made(run):
    async def scenario(stores):
        made = await upload(stores)
        return made, await stores.sources.get("t1", made.id)

    made, read = run(scenario)

    assert read == made
    assert read.status is SourceStatus.PENDING


def test_another_tenant_does_not_see_the_source(run):
    async def scenario(stores):
        made = await upload(stores)
        seen = await stores.sources.get("t2", made.id)
        return seen, await stores.sources.remove("t2", made.id), await stores.sources.get("t1", made.id)

    seen, was_removed, still = run(scenario)

    assert (seen, was_removed) == (None, False)
    assert still is not None


def test_the_same_file_for_another_tenant_or_chatbot_is_another_source(run):
    async def scenario(stores):
        owners = [("t1", "bot"), ("t2", "bot"), ("t1", "bot2"), ("t1b", "ot")]
        return {(await upload(stores, tenant=tenant, chatbot_id=bot)).id for tenant, bot in owners}

    assert len(run(scenario)) == 4


def test_a_url_has_one_source_however_it_is_spelled(run):
    async def scenario(stores):
        one = await stores.sources.add_website("t1", "bot", "HTTP://Example.com:80/a#top")
        two = await stores.sources.add_website("t1", "bot", "http://example.com/a")
        return one, two

    one, two = run(scenario)

    assert one == two
    assert one.url == "http://example.com/a"


def test_a_url_that_cannot_be_fetched_makes_no_source(run):
    async def scenario(stores):
        with pytest.raises(InvalidUrlError):
            await stores.sources.add_website("t1", "bot", "file:///etc/passwd")
        return await stores.sources.list("t1")

    assert run(scenario) == Page((), None)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_pages_hold_each_source_once_even_when_times_are_equal(run, limit):
    async def scenario(stores):
        first = await upload(stores)
        for n in range(6):
            await stores.sources.ensure(replace(first, id=f"doc_{n}"))
        found, after = [], None
        while True:
            page = await stores.sources.list("t1", limit=limit, after=after)
            found += page.items
            after = page.next_key
            if after is None:
                return found

    found = run(scenario)

    keys = [(source.created_at, source.id) for source in found]
    assert len(found) == 7
    assert keys == sorted(set(keys), reverse=True)


def test_a_list_is_by_chatbot_kind_and_status(run):
    async def scenario(stores):
        document = await upload(stores)
        await upload(stores, chatbot_id="bot2")
        site = await stores.sources.add_website("t1", "bot", "http://example.com/")
        await stores.source_runs.fail(site.id, 1, SourceFailure("gone", ""))
        sources = stores.sources
        by_kind = await sources.list("t1", chatbot_id="bot", kind=SourceKind.DOCUMENT)
        by_status = await sources.list("t1", status=SourceStatus.FAILED)
        return document, site, by_kind, by_status

    document, site, by_kind, by_status = run(scenario)

    assert [source.id for source in by_kind.items] == [document.id]
    assert [source.id for source in by_status.items] == [site.id]


@pytest.mark.parametrize("limit", [0, -1, 201])
def test_a_page_of_another_size_is_refused(run, limit):
    async def scenario(stores):
        with pytest.raises(ValueError, match="1 to 200"):
            await stores.sources.list("t1", limit=limit)

    run(scenario)


def test_a_run_switches_the_source_to_its_chunks(run):
    async def scenario(stores):
        source = await upload(stores)
        begun = await stores.source_runs.begin(source.id, 5)
        await stores.source_runs.activate(source.id, 5, OUTCOME)
        return begun, await stores.sources.get("t1", source.id), await stores.sources.active("t1")

    begun, ready, active = run(scenario)

    assert (begun.status, begun.token, begun.active_token) == (SourceStatus.PROCESSING, 5, 0)
    assert (ready.status, ready.active_token, ready.chunks_created) == (SourceStatus.READY, 5, 3)
    assert active == (ActiveSource(ready.id, 5),)


@pytest.mark.parametrize("write", ["begin", "activate", "keep", "fail", "wait"])
def test_an_older_run_writes_nothing(run, write):
    async def scenario(stores):
        runs = stores.source_runs
        source = await upload(stores)
        await runs.begin(source.id, 9)
        before = await stores.sources.find(source.id)
        extra = {"activate": (OUTCOME,), "fail": (SourceFailure("a", "b"),), "wait": (SourceFailure("a", "b"),)}
        with pytest.raises(StaleTokenError) as caught:
            await getattr(runs, write)(source.id, 8, *extra.get(write, ()))
        return caught.value, before, await stores.sources.find(source.id)

    error, before, after = run(scenario)

    assert error.token == 8
    assert after == before


@pytest.mark.parametrize("token", [1, 2**62])
def test_a_removed_source_takes_no_write_and_is_in_no_list(run, token):
    async def scenario(stores):
        source = await upload(stores)
        await stores.source_runs.begin(source.id, 1)
        removed = [await stores.sources.remove("t1", source.id) for _ in range(2)]
        with pytest.raises(SourceRemovedError):
            await stores.source_runs.activate(source.id, token, OUTCOME)
        found = await stores.sources.get("t1", source.id)
        return removed, found, await stores.sources.list("t1"), await stores.sources.active("t1")

    removed, found, page, active = run(scenario)

    assert removed == [True, False]
    assert (found, page.items, active) == (None, (), ())


def test_a_removed_upload_comes_back_under_a_new_id(run):
    async def scenario(stores):
        first = await upload(stores)
        await stores.sources.remove("t1", first.id)
        return first, await upload(stores), await upload(stores)

    first, second, third = run(scenario)

    assert second.id != first.id
    assert third == second


def test_a_failure_leaves_the_last_good_chunks_active(run):
    async def scenario(stores):
        source = await upload(stores)
        await stores.source_runs.activate(source.id, 1, OUTCOME)
        await stores.source_runs.fail(source.id, 2, SourceFailure("pdf_encrypted", "no password"))
        return await stores.sources.get("t1", source.id)

    failed = run(scenario)

    assert (failed.status, failed.active_token) == (SourceStatus.FAILED, 1)
    assert failed.error == SourceFailure("pdf_encrypted", "no password")


def test_ended_sources_are_those_with_nothing_to_read(run):
    async def scenario(stores):
        runs = stores.source_runs
        names = ("never", "once", "ready", "removed", "pending")
        ids = {name: (await upload(stores, name)).id for name in names}
        await runs.fail(ids["never"], 1, SourceFailure("x", ""))
        await runs.activate(ids["once"], 1, OUTCOME)
        await runs.fail(ids["once"], 2, SourceFailure("x", ""))
        await runs.activate(ids["ready"], 1, OUTCOME)
        await stores.sources.remove("t1", ids["removed"])
        newest = max([(await stores.sources.find(each)).updated_at for each in ids.values()])
        past = await stores.sources.ended_before(newest + timedelta(days=1), 10)
        none = await stores.sources.ended_before(newest - timedelta(days=1), 10)
        return ids, past, none

    ids, past, none = run(scenario)

    assert {source.id for source in past} == {ids["never"], ids["removed"]}
    assert none == ()


def test_a_source_written_meanwhile_is_not_deleted(run):
    async def scenario(stores):
        source = await upload(stores)
        await stores.source_runs.begin(source.id, 1)
        return await stores.sources.delete(source), await stores.sources.find(source.id)

    was_deleted, kept = run(scenario)

    assert not was_deleted
    assert kept is not None
