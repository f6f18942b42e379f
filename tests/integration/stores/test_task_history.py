import asyncio
from datetime import UTC, datetime

import pytest

from app.stores.errors import StoreRejectedError
from tests.integration.submitted import entry


def written(run, *batches, task_id="id-1"):
    """The record of a task, after these batches were written one after another."""

    async def scenario(stores):
        for batch in batches:
            await stores.task_history.write(batch)
        return await stores.task_history.get("t1", task_id)

    return run(scenario)


def test_submissions_of_one_task_are_one_record_that_counts(run):
    first = entry("1700000000000-0", chatbot_id="bot", source_id="doc_1", arguments={"path": "a.pdf"})
    second = entry("1700000001000-0", decision="joined")

    record = written(run, [first], [second])

    assert (record.submissions, record.decision) == (2, "joined")
    assert record.created_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert record.submitted_at == datetime.fromtimestamp(1_700_000_001, UTC)
    assert record.arguments == {"path": "a.pdf"}


def test_submissions_that_are_written_together_all_count(run):
    record = written(run, [entry(f"1-{n}", decision="joined" if n else "executed") for n in range(8)])

    assert (record.submissions, record.decision) == (8, "joined")


def test_who_joined_a_task_may_be_recorded_before_who_made_it(run):
    joined, made, other = entry("1-0", decision="joined"), entry("1-1"), entry("1-2", task_id="id-2")

    together = written(run, [joined, made, other])

    assert (together.submissions, together.decision) == (2, "executed")


@pytest.mark.parametrize("again", [slice(0, 1), slice(0, 3), slice(1, 3), slice(2, 3)])
def test_what_is_written_again_counts_once(run, again):
    entries = [entry("1-0"), entry("1-1", decision="joined"), entry("2-0", decision="replayed")]

    record = written(run, entries, entries[again], [entry("2-1", decision="joined")], entries[again])

    assert (record.submissions, record.decision) == (4, "joined")


def test_two_that_write_the_same_count_it_once(run):
    entries = [entry(f"1-{n}", decision="joined" if n else "executed") for n in range(20)]

    async def scenario(stores):
        await asyncio.gather(*(stores.task_history.write(entries) for _ in range(4)))
        return await stores.task_history.get("t1", "id-1")

    assert run(scenario).submissions == 20


def test_a_record_without_a_number_counts_what_comes(run):
    async def scenario(stores):
        await stores.task_history.write([entry("1-0")])
        await stores.task_history._records.collection.update({"_id": "t1:id-1"}, {"$unset": {"newest": ""}})
        await stores.task_history.write([entry("1-1", decision="joined")])
        return await stores.task_history.get("t1", "id-1")

    assert run(scenario).submissions == 2


def test_a_refused_entry_is_told(run):
    with pytest.raises(StoreRejectedError):
        written(run, [entry("1-0", arguments={"half": "\ud800"})])


def test_each_tenant_sees_its_own_submissions(run):
    async def scenario(stores):
        await stores.task_history.write([entry("1-0", tenant="t1"), entry("1-1", tenant="t2", task_id="id-2")])
        both = [await stores.task_history.get(tenant, "id-1") for tenant in ("t1", "t2")]
        return both, await stores.task_history.list("t2")

    (own, other), page = run(scenario)

    assert own is not None
    assert other is None
    assert [record.task_id for record in page.items] == ["id-2"]


def test_a_list_is_by_source(run):
    async def scenario(stores):
        history = stores.task_history
        one = entry("1-0", task_id="id-1", source_id="doc_1", chatbot_id="bot")
        two = entry("1-1", task_id="id-2", source_id="doc_2", chatbot_id="bot")
        await history.write([one, two])
        return await history.list("t1", source_id="doc_2"), await history.list("t1", chatbot_id="bot")

    by_source, by_chatbot = run(scenario)

    assert [record.task_id for record in by_source.items] == ["id-2"]
    assert len(by_chatbot.items) == 2
