"""Entries of the history's backlog, as tests write them."""

import time
from typing import Any

from app.stores.history_backlog import Entry, Submission


def submission(tenant: str = "t1", task_id: str = "id-1", decision: str = "executed", **extra: Any) -> Submission:
    """A submission of that task."""
    given = {"chatbot_id": None, "source_id": None, "arguments": {}, **extra}
    return Submission(tenant, task_id, "app.tasks.process_document", "ab" * 20, decision, **given)


def entry(place: str = "", **extra: Any) -> Entry:
    """Its entry, at a place in the backlog; by default of now."""
    return Entry(place or f"{time.time_ns() // 1_000_000}-0", submission(**extra))
