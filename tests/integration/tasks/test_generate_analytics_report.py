from datetime import timedelta

import pytest

from app.stores.clock import utc_now
from app.stores.errors import StaleTokenError
from app.stores.source import Outcome, SourceFailure
from app.tasks.errors import TaskInputError
from queues import Decision, connect
from tests.integration.submitted import entry
from tests.integration.tasks.conftest import make_run


async def fill(world, tenant="t1", chatbot_id="bot"):
    """Two documents, one read and one failed, a website of three days ago, and one removed document."""
    sources, runs = world.stores.sources, world.stores.source_runs
    made = {}
    for name in ("read", "failed", "removed"):
        made[name] = await sources.add_document(
            tenant, chatbot_id, name=name, path=f"{name}.txt", content_hash="0" * 64, size_bytes=1
        )
    made["site"] = await sources.add_website(tenant, chatbot_id, "http://example.com/")
    await runs.activate(made["read"].id, 1, Outcome(chunks_created=4, characters=3500, pages=2))
    await runs.fail(made["failed"].id, 1, SourceFailure("pdf_encrypted", ""))
    await runs.activate(made["site"].id, 1, Outcome(chunks_created=1, characters=700, pages=1))
    await sources.remove(tenant, made["removed"].id)
    await world.stores.mongo.collection("sources").update(
        {"_id": made["site"].id}, {"$set": {"created_at": utc_now() - timedelta(days=3)}}
    )
    await world.call("send_notification", "ann", "Hi", "Words", chatbot_id=chatbot_id, tenant=tenant)
    await world.stores.task_history.write([entry(tenant=tenant, chatbot_id=chatbot_id)])


def test_a_report_counts_what_is_there(world):
    async def scenario(world):
        await fill(world)
        await fill(world, tenant="t2")
        await fill(world, chatbot_id="bot2")
        return await world.call("generate_analytics_report", "bot", 7, tenant="t1")

    report = world.play(scenario)

    assert report["sources"] == {
        "by_status": {"failed": 1, "ready": 2},
        "by_kind": {"document": 2, "website": 1},
    }
    assert (report["chunks"], report["characters"], report["notifications"], report["tasks"]) == (5, 4200, 1, 1)


def test_a_report_has_one_entry_for_each_day_oldest_first(world):
    today = utc_now().date()

    async def scenario(world):
        await fill(world)
        return await world.call("generate_analytics_report", "bot", 4, tenant="t1")

    series = world.play(scenario)["series"]

    assert [day["day"] for day in series][-1] >= today.isoformat()
    assert len({day["day"] for day in series}) == len(series) == 4
    assert sum(day["sources"] for day in series) == 3


def test_a_chatbot_without_anything_has_zeros(world):
    async def scenario(world):
        return await world.call("generate_analytics_report", "nobody", 1)

    report = world.play(scenario)

    assert (report["chunks"], report["characters"], report["sources"]) == (0, 0, {"by_status": {}, "by_kind": {}})
    assert len(report["series"]) == 1


def test_the_stored_report_is_the_tenants(world):
    async def scenario(world):
        await fill(world)
        result = await world.call("generate_analytics_report", "bot", 7, tenant="t1")
        reports = world.stores.reports
        return result, [await reports.get(tenant, result["report_id"]) for tenant in ("t1", "t2")]

    result, (own, other) = world.play(scenario)

    assert (own.chunks, own.characters, own.days) == (result["chunks"], result["characters"], 7)
    assert other is None


def test_a_second_report_of_the_day_takes_the_place_of_the_first(world):
    async def scenario(world):
        first = await world.call("generate_analytics_report", "bot", 7)
        await fill(world, tenant="default")
        second = await world.call("generate_analytics_report", "bot", 7)
        return first, second, await world.stores.reports.list("default")

    first, second, page = world.play(scenario)

    if first["until"][:10] == second["until"][:10]:
        assert first["report_id"] == second["report_id"]
        assert [report.chunks for report in page.items] == [5]


def test_a_report_by_an_older_run_is_dropped(world):
    async def scenario(world):
        await world.attempt(make_run(5), "generate_analytics_report", "bot", 7)
        with pytest.raises(StaleTokenError):
            await world.attempt(make_run(4), "generate_analytics_report", "bot", 7)

    world.play(scenario)


def test_every_chatbot_of_every_tenant_gets_its_report(world):
    async def scenario(world):
        await fill(world)
        await fill(world, tenant="t2", chatbot_id="other")
        own = await world.call("generate_analytics_report", tenant="t1")
        every = await world.call("generate_analytics_report", "*", 7, "*")
        stored = [await world.stores.reports.list(tenant) for tenant in ("t1", "t2")]
        return own, every, [(report.tenant, report.chatbot_id) for page in stored for report in page.items]

    own, every, stored = world.play(scenario)

    assert (own["reports"], every["reports"]) == (1, 2)
    assert stored == [("t1", "bot"), ("t2", "other")]


def test_a_repetition_is_answered_from_the_cache(world):
    async def count(world):
        return len((await world.stores.reports.list("default")).items)

    with connect(world.tasks, backend="memory"):
        task = world.tasks.get("app.tasks.generate_analytics_report")
        world.play(count)
        first = task.send("bot", 7)
        answer = first.result(timeout=60)
        again = task.send("bot")
        repeated = again.result(timeout=60)

    assert (first.decision, again.decision) == (Decision.EXECUTED, Decision.REPLAYED)
    assert repeated == answer
    assert world.play(count) == 1


@pytest.mark.parametrize(
    "change", [{"days": 0}, {"days": 93}, {"days": "7"}, {"chatbot_id": ""}, {"chatbot_id": None}, {"tenant": "\n"}]
)
def test_arguments_that_cannot_be_used_make_no_report(world, change):
    async def scenario(world):
        with pytest.raises(TaskInputError):
            await world.call("generate_analytics_report", **{"chatbot_id": "bot", "days": 7, **change})
        return await world.stores.reports.list("default")

    assert world.play(scenario).items == ()
