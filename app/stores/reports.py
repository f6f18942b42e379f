"""The collection of analytics reports."""

from dataclasses import dataclass
from datetime import date, datetime

from app.stores.mongo import Document, Index, Mongo
from app.stores.paging import Page, PageKey
from app.stores.records import Records
from app.stores.source import digest

COLLECTION = "reports"
INDEXES = (
    Index((("tenant", 1), ("created_at", -1), ("_id", -1))),
    Index((("tenant", 1), ("chatbot_id", 1), ("created_at", -1), ("_id", -1))),
    Index((("created_at", 1),)),
)


@dataclass(frozen=True, slots=True)
class DayCount:
    """What came in on one day (UTC)."""

    day: str
    """ISO 8601, `2026-11-23`."""
    sources: int
    notifications: int
    tasks: int


@dataclass(frozen=True, slots=True)
class Report:
    """The counts of one chatbot, and of each of the last days."""

    id: str
    tenant: str
    chatbot_id: str
    days: int
    created_at: datetime
    since: datetime
    until: datetime
    sources_by_status: dict[str, int]
    sources_by_kind: dict[str, int]
    chunks: int
    characters: int
    notifications: int
    tasks: int
    series: tuple[DayCount, ...]
    """One for each day, oldest first."""
    token: int = 0


def report_id(tenant: str, chatbot_id: str, days: int, last_day: date) -> str:
    """The id of a report: one for each chatbot, length and last day, so a second run replaces the first."""
    return f"rep_{digest(tenant, chatbot_id, str(days), last_day.isoformat())}"


class Reports:
    """The collection `reports`. Every method may raise StoreUnavailableError."""

    def __init__(self, mongo: Mongo) -> None:
        self._records = Records(mongo, COLLECTION, Report, INDEXES)

    # What the API uses.

    async def get(self, tenant: str, report_id: str) -> Report | None:
        """The report, or None when it is not this tenant's."""
        return await self._records.get({"_id": report_id, "tenant": tenant})

    async def list(
        self,
        tenant: str,
        *,
        chatbot_id: str | None = None,
        limit: int = 50,
        after: PageKey | None = None,
    ) -> Page[Report]:
        """One page of a tenant's reports, newest first.

        Raises:
            ValueError: `limit` is not between 1 and `MAX_PAGE_RECORDS`.
        """
        where: Document = {"tenant": tenant}
        if chatbot_id is not None:
            where["chatbot_id"] = chatbot_id
        return await self._records.page(where, limit, after)

    # What the tasks use.

    async def put(self, report: Report, token: int) -> None:
        """Store the report in place of an older one with its id.

        Raises:
            StaleTokenError: a newer run has written it.
        """
        await self._records.put(report, token)

    async def remove_before(self, moment: datetime, limit: int) -> int:
        """Remove at most `limit` reports made before `moment`; 0 when none is left."""
        return await self._records.remove_batch({"created_at": {"$lt": moment}}, limit)
