"""A chatbot's counts and its last days, kept as a report."""

from dataclasses import asdict
from datetime import UTC, datetime, time, timedelta

from app.stores.clock import utc_now
from app.stores.reports import DayCount, Report, report_id
from app.stores.source import DEFAULT_TENANT
from app.tasks.arguments import checked_line, checked_number
from app.tasks.errors import TaskInputError
from app.tasks.services import Services
from queues import Backoff, Once, Tasks, current
from queues.task import AnyTask

MAX_RETRIES = 2
# Three counts a day: more would take seconds, and nobody reads such a series.
MAX_DAYS = 92
CACHED_S = 3600
EVERY = "*"
MAX_IDS_SHOWN = 100


def declare(tasks: Tasks, services: Services) -> AnyTask:
    """The task `generate_analytics_report`, working with these services."""

    @tasks.task(
        queue="reports",
        max_retries=MAX_RETRIES,
        backoff=Backoff(60),
        once=Once(ttl=CACHED_S),
        give_up_on=(TaskInputError,),
    )
    async def generate_analytics_report(
        chatbot_id: str = EVERY, days: int = 7, tenant: str = DEFAULT_TENANT
    ) -> dict[str, object]:
        """The report: counts of sources, chunks, characters, notifications and tasks, and a series by day.

        Asked again within the hour, the same answer comes from the cache. One report is kept for each
        chatbot, number of days and last day; a later one of the same day takes its place.

        Args:
            chatbot_id: the chatbot; one without sources gives zeros. `*` makes one report for each chatbot
                that has sources, and answers with their ids.
            days: 1 to 92 days in UTC, the last one today.
            tenant: the owner; with `*` for both, the chatbots of all tenants. The API gives its caller's.

        Raises:
            TaskInputError: an argument cannot be used.
        """
        checked_line("chatbot_id", chatbot_id)
        checked_line("tenant", tenant)
        checked_number("days", days, 1, MAX_DAYS)
        token = current.token
        if chatbot_id == EVERY:
            return await _report_on_every(services, tenant, days, token)
        report = await _report(services, tenant, chatbot_id, days)
        await services.stores.reports.put(report, token)
        return _answer(report)

    return generate_analytics_report


async def _report_on_every(services: Services, tenant: str, days: int, token: int) -> dict[str, object]:
    """One report for each chatbot. After a crash all are made again: each has an id of its own to land on."""
    owners = await services.stores.sources.owners(None if tenant == EVERY else tenant)
    ids = []
    for done, (owner, chatbot_id) in enumerate(owners):
        current.check()
        current.progress(done, len(owners), "reporting")
        report = await _report(services, owner, chatbot_id, days)
        await services.stores.reports.put(report, token)
        ids.append(report.id)
    return {"status": "success", "days": days, "reports": len(ids), "report_ids": ids[:MAX_IDS_SHOWN]}


async def _report(services: Services, tenant: str, chatbot_id: str, days: int) -> Report:
    stores, now = services.stores, utc_now()
    midnight = datetime.combine(now.date(), time(), UTC)
    series = []
    for ago in range(days - 1, -1, -1):
        current.check()
        begin = midnight - timedelta(days=ago)
        span = (tenant, chatbot_id, begin, begin + timedelta(days=1))
        series.append(
            DayCount(
                day=begin.date().isoformat(),
                sources=await stores.sources.count(*span),
                notifications=await stores.notifications.count(*span),
                tasks=await stores.task_history.count(*span),
            )
        )
    by_status = await stores.sources.totals(tenant, chatbot_id, by="status", add="characters")
    by_kind = await stores.sources.totals(tenant, chatbot_id, by="kind", add="chunks_created")
    return Report(
        id=report_id(tenant, chatbot_id, days, now.date()),
        tenant=tenant,
        chatbot_id=chatbot_id,
        days=days,
        created_at=now,
        since=midnight - timedelta(days=days - 1),
        until=now,
        sources_by_status={status: count for status, (count, _) in sorted(by_status.items())},
        sources_by_kind={kind: count for kind, (count, _) in sorted(by_kind.items())},
        chunks=sum(chunks for _, chunks in by_kind.values()),
        characters=sum(characters for _, characters in by_status.values()),
        notifications=sum(day.notifications for day in series),
        tasks=sum(day.tasks for day in series),
        series=tuple(series),
    )


def _answer(report: Report) -> dict[str, object]:
    """The report as the task's result, in types that JSON has."""
    return {
        "status": "success",
        "report_id": report.id,
        "chatbot_id": report.chatbot_id,
        "days": report.days,
        "since": report.since.isoformat(),
        "until": report.until.isoformat(),
        "sources": {"by_status": report.sources_by_status, "by_kind": report.sources_by_kind},
        "chunks": report.chunks,
        "characters": report.characters,
        "notifications": report.notifications,
        "tasks": report.tasks,
        "series": [asdict(day) for day in report.series],
    }
