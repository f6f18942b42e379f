"""The collection of submitted tasks: who asked for what, and when."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from app.stores.history_backlog import Entry
from app.stores.mongo import Document, Filter, Index, Mongo
from app.stores.paging import Page, PageKey
from app.stores.records import Records
from queues.handle import Decision

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

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """What the record of a task's only submission will be."""
        return cls(id=_id(entry), **_fields(entry))


class TaskHistory:
    """The collection `tasks`. Every method may raise StoreUnavailableError."""

    def __init__(self, mongo: Mongo) -> None:
        self._records = Records(mongo, COLLECTION, TaskRecord, INDEXES)

    # What the API uses.

    async def write(self, entries: Sequence[Entry]) -> None:
        """Record submissions, oldest first; one more of the same task counts up and keeps the first's time.

        To write an entry again, also beside others that do, changes nothing: a record knows the number of the newest
        entry that it counts.

        Raises:
            StoreRejectedError: MongoDB refuses one; others may be written.
        """
        collection, named = self._records.collection, set[str]()
        new, others = list[Entry](), list[Entry]()
        for entry in entries:
            # Inserted, which takes MongoDB half as long as an update, unless there is a record, or will be.
            is_first = entry.submission.decision == Decision.EXECUTED.value and _id(entry) not in named
            (new if is_first else others).append(entry)
            named.add(_id(entry))
        if new:
            others += [new[place] for place in await collection.insert_each([_document(entry) for entry in new])]
        if others:
            others.sort(key=lambda entry: entry.number)
            oldest = {_id(entry): entry for entry in reversed(others)}
            await collection.insert_missing([{**_document(entry), **_UNCOUNTED} for entry in oldest.values()])
            await collection.update_each([_count(entry) for entry in others])

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


_UNCOUNTED = {"submissions": 0, "newest": 0}


def _id(entry: Entry) -> str:
    return f"{entry.submission.tenant}:{entry.submission.task_id}"


def _fields(entry: Entry) -> Document:
    """All of the record of a task that has none, but for its id."""
    submission, at = entry.submission, entry.at
    return {
        "tenant": submission.tenant,
        "task_id": submission.task_id,
        "name": submission.name,
        "key": submission.key,
        "decision": submission.decision,
        "created_at": at,
        "submitted_at": at,
        "submissions": 1,
        "chatbot_id": submission.chatbot_id,
        "source_id": submission.source_id,
        "arguments": submission.arguments,
    }


def _document(entry: Entry) -> Document:
    return {"_id": _id(entry), **_fields(entry), "newest": entry.number}


def _count(entry: Entry) -> tuple[Filter, Document]:
    """Which record counts the entry, if it does not yet, and how; what an older version wrote has no number."""
    newest = {"decision": entry.submission.decision, "submitted_at": entry.at, "newest": entry.number}
    return (
        {"_id": _id(entry), "newest": {"$not": {"$gte": entry.number}}},
        {"$set": newest, "$inc": {"submissions": 1}},
    )
