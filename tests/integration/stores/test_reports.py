from dataclasses import replace
from datetime import date, timedelta

import pytest

from app.stores.clock import utc_now
from app.stores.errors import StaleTokenError
from app.stores.reports import DayCount, Report, report_id


def report(name="rep_1", chunks=1, ago_days=0):
    now = utc_now() - timedelta(days=ago_days)
    return Report(
        id=name,
        tenant="t1",
        chatbot_id="bot",
        days=1,
        created_at=now,
        since=now - timedelta(days=1),
        until=now,
        sources_by_status={"ready": 2},
        sources_by_kind={"document": 1, "website": 1},
        chunks=chunks,
        characters=10,
        notifications=0,
        tasks=4,
        series=(DayCount("2026-11-23", 1, 0, 4),),
    )


def test_a_report_is_read_back_as_it_was_put(run):
    async def scenario(stores):
        made = report()
        await stores.reports.put(made, 3)
        return made, await stores.reports.get("t1", "rep_1"), await stores.reports.get("t2", "rep_1")

    made, read, other = run(scenario)

    assert read == replace(made, token=3)
    assert other is None


def test_a_newer_run_replaces_the_report_and_an_older_one_does_not(run):
    async def scenario(stores):
        await stores.reports.put(report(chunks=1), 3)
        await stores.reports.put(report(chunks=2), 5)
        with pytest.raises(StaleTokenError):
            await stores.reports.put(report(chunks=3), 4)
        return await stores.reports.get("t1", "rep_1"), await stores.reports.list("t1", chatbot_id="bot")

    kept, page = run(scenario)

    assert (kept.chunks, kept.token) == (2, 5)
    assert len(page.items) == 1


def test_reports_are_removed_by_age_in_batches(run):
    async def scenario(stores):
        for number in range(5):
            await stores.reports.put(report(f"rep_{number}", ago_days=number * 10), 1)
        before = utc_now() - timedelta(days=15)
        removed = [await stores.reports.remove_before(before, 2) for _ in range(3)]
        return removed, [each.id for each in (await stores.reports.list("t1")).items]

    assert run(scenario) == ([2, 1, 0], ["rep_0", "rep_1"])


def test_a_report_has_one_id_for_each_chatbot_length_and_last_day():
    made = {
        report_id(tenant, bot, days, date(2026, 11, day))
        for tenant in ("a", "ab")
        for bot in ("c", "bc")
        for days in (1, 11)
        for day in (1, 11)
    }

    assert len(made) == 16
    assert report_id("a", "c", 1, date(2026, 11, 1)) in made
