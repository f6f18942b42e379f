"""From an order to its answer: a place within the limit, the queue, the history."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from app.api.context import Context
from app.api.idempotency import Answer
from app.api.orders import Order
from app.stores.errors import StoreRejectedError, StoreUnavailableError
from app.stores.history_backlog import Submission
from app.stores.redis import RedisUnavailableError
from queues import Decision, Handle, State
from queues.logs import Subject, speak_of

TASKS_PATH = "/api/v1/tasks"
SOURCES_PATH = "/api/v1/sources"
BACKLOG_PAUSE_S = 2.0

_LOG = logging.getLogger(__name__)


async def submit(context: Context, prepare: Callable[[], Awaitable[Order]], http_key: str | None) -> Answer:
    """Submit what `prepare` gives; the 202 that says what became of it.

    The order of steps loses nothing in a crash: what the task works on is stored first, then the task is
    submitted, then the history written. Cut off in between, the client has no answer and asks again, and the
    same work gets the same task. `prepare` runs inside the limit, so that what is refused leaves nothing.

    Raises:
        TooManyTasksError: nothing was prepared or submitted.
        RedisUnavailableError, StoreUnavailableError, BrokerUnavailableError: ask again.
    """
    async with context.places.place():
        order = await prepare()
        handle = await order.task.send_with_options_async(
            kwargs=order.kwargs, delay=order.delay, priority=order.priority, scope=order.scope
        )
    speak_of(Subject(order.task.name, handle.id, handle.key))
    await _remember(context, order, handle)
    state = State.QUEUED
    if handle.decision is not Decision.EXECUTED:
        state = (await handle.status_async()).state
    body = {
        "id": handle.id,
        "task": order.task.name,
        "state": state.value,
        "decision": handle.decision.value,
        "key": handle.key,
        "idempotency_key": http_key,
        "source_id": order.source_id,
        "links": links(handle.id, order.source_id),
    }
    return Answer(202, {"Location": f"{TASKS_PATH}/{handle.id}"}, body)


def links(task_id: str, source_id: str | None) -> dict[str, str | None]:
    """Where the task, its events, its cancellation and its source are."""
    here = f"{TASKS_PATH}/{task_id}"
    source = None if source_id is None else f"{SOURCES_PATH}/{source_id}"
    return {"self": here, "events": f"{here}/events", "cancel": f"{here}/cancel", "source": source}


async def _remember(context: Context, order: Order, handle: Handle) -> None:
    """Write the history, or keep in Redis what is to be written: the task runs, so its owner must find it."""
    submission: dict[str, Any] = {
        "tenant": order.tenant,
        "task_id": handle.id,
        "name": order.task.name,
        "key": handle.key,
        "decision": handle.decision.value,
        "chatbot_id": order.chatbot_id,
        "source_id": order.source_id,
        "arguments": order.summary(),
    }
    try:
        await context.stores.task_history.add(**submission)
    except StoreUnavailableError as exc:
        _LOG.warning("the history of %s is written later: %s", handle.id, exc)
        await context.backlog.put(submission)


async def write_backlog(context: Context) -> None:
    """Write what history could not be written at its time; goes on until it is cancelled."""
    while True:
        try:
            while (submission := await context.backlog.first()) is not None:
                await _write(context, submission)
                await context.backlog.remove(submission)
        except (StoreUnavailableError, RedisUnavailableError) as exc:
            _LOG.debug("the backlog of the history waits: %s", exc)
        await asyncio.sleep(BACKLOG_PAUSE_S)


async def _write(context: Context, submission: Submission) -> None:
    fields: dict[str, Any] = dict(submission)
    try:
        await context.stores.task_history.add(**fields)
    except StoreRejectedError as exc:
        # It will be refused for ever, and must not hold up those behind it.
        _LOG.error("the history of %s is lost: %s", submission["task_id"], exc)
