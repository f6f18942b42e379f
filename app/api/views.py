"""A task as its owner sees it: the facts of its submission, and its state in the queue."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from app.api.access import Principal
from app.api.context import Context
from app.api.errors import not_found
from app.api.submission import links
from app.stores.errors import StoreUnavailableError
from app.stores.history_backlog import Submission
from app.stores.task_history import TaskRecord
from queues.handle import Status


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What was submitted; the times are None while the history is still to be written."""

    task_id: str
    name: str
    key: str
    decision: str
    chatbot_id: str | None
    source_id: str | None
    arguments: dict[str, str]
    submissions: int = 1
    created_at: datetime | None = None
    submitted_at: datetime | None = None

    @classmethod
    def of_record(cls, record: TaskRecord) -> Self:
        """The facts in the history."""
        return cls(
            record.task_id,
            record.name,
            record.key,
            record.decision,
            record.chatbot_id,
            record.source_id,
            record.arguments,
            record.submissions,
            record.created_at,
            record.submitted_at,
        )

    @classmethod
    def of_submission(cls, submission: Submission) -> Self:
        """The facts in the backlog of the history."""
        fields: dict[str, Any] = dict(submission)
        del fields["tenant"]
        return cls(**fields)


async def find_task(context: Context, principal: Principal, task_id: str) -> TaskFacts:
    """The facts of a task that the caller's tenant submitted.

    Raises:
        ProblemError: 404, there is no such task, or it is another's.
        StoreUnavailableError: the history does not answer, and its backlog does not hold the task.
    """
    unavailable: StoreUnavailableError | None = None
    facts: TaskFacts | None = None
    try:
        record = await context.stores.task_history.get(principal.tenant, task_id)
        facts = None if record is None else TaskFacts.of_record(record)
    except StoreUnavailableError as exc:
        unavailable = exc
    if facts is None:
        submission = await context.backlog.get(principal.tenant, task_id)
        facts = None if submission is None else TaskFacts.of_submission(submission)
    if facts is None and unavailable is not None:
        raise unavailable
    if facts is None or (principal.chatbot_id is not None and facts.chatbot_id != principal.chatbot_id):
        raise not_found("task")
    return facts


def summary_of(facts: TaskFacts, status: Status) -> dict[str, Any]:
    """The task in a list."""
    return {
        "id": facts.task_id,
        "task": facts.name,
        "state": status.state.value,
        "decision": facts.decision,
        "key": facts.key,
        "chatbot_id": facts.chatbot_id,
        "source_id": facts.source_id,
        "arguments": facts.arguments,
        "submissions": facts.submissions,
        # After a failure the same work may have been submitted again; its record is the newer run's.
        "superseded_by": status.id if status.id != facts.task_id else None,
        "created_at": facts.created_at,
        "submitted_at": facts.submitted_at,
        "links": links(facts.task_id, facts.source_id),
    }


def view_of(facts: TaskFacts, status: Status) -> dict[str, Any]:
    """The task with all that is known of it. A failure's traceback stays inside."""
    progress, error = status.progress, status.error
    return {
        **summary_of(facts, status),
        "progress": progress and {"done": progress.done, "total": progress.total, "note": progress.note},
        "attempt": status.attempt,
        "result": status.result,
        "error": error and {"type": error.type, "message": error.message, "code": error.code},
        "retry_in": None if status.retry_in_ms is None else status.retry_in_ms / 1000,
    }
