"""The collection of submitted tasks: who asked for what, and when."""

from dataclasses import dataclass, field
from datetime import datetime

from app.stores.clock import Clock, utc_now
from app.stores.mongo import Document, Index, Mongo
from app.stores.paging import Page, PageKey
from app.stores.records import Records

COLLECTION = "tasks"
INDEXES = (
    Index((("tenant", 1), ("created_at", -1), ("_id", -1))),
    Index((("tenant", 1), ("chatbot_id", 1), ("created_at", -1), ("_id", -1))),
    Index((("tenant", 1), ("source_id", 1), ("created_at", -1), ("_id", -1))),
    Index((("submitted_at", 1),)),
)


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task that an owner submitted, once or more; its state is the queue's to tell."""

    id: str
    """`<tenant>:<task id>`: two owners may hold a handle to one task, each sees only its own record."""
    tenant: str
    task_id: str
    """The handle's id, for `queue.handle(task_id)`."""
    name: str
    """`app.tasks.process_document` and so on."""
    key: str
    decision: str
    """What the newest submission was answered with: `executed`, `joined`, `replayed`, ..."""
    created_at: datetime
    """Of the first submission."""
    submitted_at: datetime
    """Of the newest submission."""
    submissions: int = 1
    chatbot_id: str | None = None
    source_id: str | None = None
    arguments: dict[str, str] = field(default_factory=dict)
    """A summary to show: each value as short text, none that is secret."""


class TaskHistory:
    """The collection `tasks`. Every method may raise StoreUnavailableError."""

    def __init__(self, mongo: Mongo, clock: Clock = utc_now) -> None:
        self._records = Records(mongo, COLLECTION, TaskRecord, INDEXES)
        self._clock = clock

    # What the API uses.

    async def add(
        self,
        tenant: str,
        task_id: str,
        *,
        name: str,
        key: str,
        decision: str,
        chatbot_id: str | None = None,
        source_id: str | None = None,
        arguments: dict[str, str] | None = None,
    ) -> None:
        """Record a submission; one more of the same task counts up and keeps the first's time."""
        now = self._clock()
        changed = {"decision": decision, "submitted_at": now}
        first = {
            "tenant": tenant,
            "task_id": task_id,
            "name": name,
            "key": key,
            "chatbot_id": chatbot_id,
            "source_id": source_id,
            "arguments": arguments or {},
            "created_at": now,
        }
        await self._records.upsert(
            f"{tenant}:{task_id}", {"$set": changed, "$setOnInsert": first, "$inc": {"submissions": 1}}
        )

    async def get(self, tenant: str, task_id: str) -> TaskRecord | None:
        """The record of a task that this tenant submitted; None when it did not."""
        return await self._records.get({"_id": f"{tenant}:{task_id}", "tenant": tenant})

    async def list(
        self,
        tenant: str,
        *,
        chatbot_id: str | None = None,
        source_id: str | None = None,
        limit: int = 50,
        after: PageKey | None = None,
    ) -> Page[TaskRecord]:
        """One page of a tenant's tasks, newest first.

        Raises:
            ValueError: `limit` is not between 1 and `MAX_PAGE_RECORDS`.
        """
        where: Document = {"tenant": tenant}
        if chatbot_id is not None:
            where["chatbot_id"] = chatbot_id
        if source_id is not None:
            where["source_id"] = source_id
        return await self._records.page(where, limit, after)

    # What cleanup and reports use.

    async def remove_before(self, moment: datetime, limit: int) -> int:
        """Remove at most `limit` records last submitted before `moment`; 0 when none is left."""
        return await self._records.remove_batch({"submitted_at": {"$lt": moment}}, limit)

    async def count(self, tenant: str, chatbot_id: str, since: datetime, until: datetime) -> int:
        """How many tasks of a chatbot were first submitted from `since` to before `until`."""
        return await self._records.count(
            {"tenant": tenant, "chatbot_id": chatbot_id, "created_at": {"$gte": since, "$lt": until}}
        )
