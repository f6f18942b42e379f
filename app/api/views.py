"""A task as its owner sees it: the record of its submission, and its state in the queue."""

from typing import Any

from app.api.access import Principal
from app.api.context import Context
from app.api.errors import not_found
from app.api.submission import links
from app.stores.task_history import TaskRecord
from queues.handle import Status


async def find_task(context: Context, principal: Principal, task_id: str) -> TaskRecord:
    """The record of a task that the caller's tenant submitted.

    Raises:
        ProblemError: 404, there is no such task, or it is another's.
        StoreUnavailableError: the history does not answer, and its backlog does not hold the task.
    """
    record = await context.history.find(principal.tenant, task_id)
    if record is None or (principal.chatbot_id is not None and record.chatbot_id != principal.chatbot_id):
        raise not_found("task")
    return record


def summary_of(record: TaskRecord, status: Status) -> dict[str, Any]:
    """The task in a list."""
    return {
        "id": record.task_id,
        "task": record.name,
        "state": status.state.value,
        "decision": record.decision,
        "key": record.key,
        "chatbot_id": record.chatbot_id,
        "source_id": record.source_id,
        "arguments": record.arguments,
        "submissions": record.submissions,
        # After a failure the same work may have been submitted again; its record is the newer run's.
        "superseded_by": status.id if status.id != record.task_id else None,
        "created_at": record.created_at,
        "submitted_at": record.submitted_at,
        "links": links(record.task_id, record.source_id),
    }


def view_of(record: TaskRecord, status: Status) -> dict[str, Any]:
    """The task with all that is known of it. A failure's traceback stays inside."""
    progress, error = status.progress, status.error
    return {
        **summary_of(record, status),
        "progress": progress and {"done": progress.done, "total": progress.total, "note": progress.note},
        "attempt": status.attempt,
        "result": status.result,
        "error": error and {"type": error.type, "message": error.message, "code": error.code},
        "retry_in": None if status.retry_in_ms is None else status.retry_in_ms / 1000,
    }
