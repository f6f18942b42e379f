"""Routes that show, watch and cancel tasks."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.responses import Response, StreamingResponse

from app.api.access import Principal
from app.api.context import Context
from app.api.deps import (
    ChatbotQuery,
    ContextDep,
    Cursor,
    Limit,
    Reader,
    Writer,
    next_cursor,
    own_chatbot,
    page_key,
    purpose_of,
)
from app.api.encoding import json_response
from app.api.errors import ProblemError, not_found
from app.api.events import watch
from app.api.schemas import TaskList, TaskView
from app.api.views import find_task, summary_of, view_of
from app.stores.task_history import TaskRecord
from queues import State

router = APIRouter(tags=["tasks"])
_MAX_READS = 16


@router.get("/tasks", response_model=TaskList)
async def list_tasks(
    context: ContextDep,
    principal: Reader,
    chatbot_id: ChatbotQuery = None,
    source_id: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The tasks that you submitted, newest first, with their state now."""
    chatbot_id = own_chatbot(principal, chatbot_id)
    purpose = purpose_of(principal, "tasks", chatbot_id, source_id)
    await context.history.settle()
    page = await context.stores.task_history.list(
        principal.tenant,
        chatbot_id=chatbot_id,
        source_id=source_id,
        limit=limit,
        after=page_key(context, purpose, cursor),
    )
    places = asyncio.Semaphore(_MAX_READS)

    async def summary(record: TaskRecord) -> dict[str, object]:
        async with places:
            status = await context.queue.handle(record.task_id).status_async()
        return summary_of(record, status)

    items = await asyncio.gather(*(summary(record) for record in page.items))
    return json_response({"items": items, "next_cursor": next_cursor(context, purpose, page.next_key)})


@router.get("/tasks/{task_id}", response_model=TaskView)
async def read_task(context: ContextDep, principal: Reader, task_id: str) -> Response:
    """One task: its state, progress, attempt, result or error."""
    return await _view(context, principal, task_id, 200)


@router.get(
    "/tasks/{task_id}/events",
    response_class=StreamingResponse,
    responses={
        200: {"description": "The task, whenever it changes", "content": {"text/event-stream": {}}},
        204: {"description": "It ended, and you have seen the end"},
    },
)
async def watch_task(
    request: Request,
    context: ContextDep,
    principal: Reader,
    task_id: str,
    last_event_id: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Server-sent events: `progress` and `state`, each with the task as `GET /tasks/{id}` shows it.

    The stream ends after a final state. With `Last-Event-ID` it goes on where it was cut.
    """
    record = await find_task(context, principal, task_id)
    return await watch(request, context, record, last_event_id)


@router.post("/tasks/{task_id}/cancel", status_code=202, response_model=TaskView)
async def cancel_task(context: ContextDep, principal: Writer, task_id: str) -> Response:
    """Cancel a task that has not begun; ask one that runs to stop. 409 when it has ended otherwise."""
    return await _cancel(context, principal, task_id)


@router.delete("/tasks/{task_id}", status_code=202, response_model=TaskView)
async def delete_task(context: ContextDep, principal: Writer, task_id: str) -> Response:
    """The same as `POST /tasks/{id}/cancel`."""
    return await _cancel(context, principal, task_id)


async def _cancel(context: Context, principal: Principal, task_id: str) -> Response:
    record = await find_task(context, principal, task_id)
    handle = context.queue.handle(record.task_id)
    if not await handle.cancel_async():
        status = await handle.status_async()
        if status.state is State.UNKNOWN:
            raise not_found("task")
        is_cancelled = status.error is not None and status.error.type.endswith("TaskCancelledError")
        if status.is_final and not is_cancelled:
            detail = f"The task has ended: {status.state.value}."
            raise ProblemError(409, "already-ended", detail)
    return await _view(context, principal, task_id, 202)


async def _view(context: Context, principal: Principal, task_id: str, status_code: int) -> Response:
    record = await find_task(context, principal, task_id)
    status = await context.queue.handle(record.task_id).status_async()
    return json_response(view_of(record, status), status_code)
