"""From an order to its answer: a place within the limit, the queue, the history."""

from collections.abc import Awaitable, Callable

from app.api.context import Context
from app.api.encoding import to_json
from app.api.idempotency import Answer, Submitted
from app.api.orders import Order
from app.stores.history_backlog import Submission
from queues import Decision, Handle, State
from queues.logs import Subject, speak_of

TASKS_PATH = "/api/v1/tasks"
SOURCES_PATH = "/api/v1/sources"


async def submit(context: Context, prepare: Callable[[], Awaitable[Order]], http_key: str | None) -> Submitted:
    """Submit what `prepare` gives; the 202 that says what became of it, to be given when the history has it.

    The order of steps loses nothing in a crash: what the task works on is stored first, then the task is
    submitted, then the history kept. Cut off in between, the client has no answer and asks again, and the
    same work gets the same task. `prepare` runs inside the limit, so that what is refused leaves nothing.

    Raises:
        TooManyTasksError: nothing was prepared or submitted.
        RedisUnavailableError, StoreUnavailableError, BrokerUnavailableError: ask again.
    """
    async with context.places.place():
        order = await prepare()
        handle = await order.task.send_with_options_async(
            kwargs=order.kwargs,
            delay=order.delay,
            eta=order.eta,
            expires=order.expires,
            priority=order.priority,
            scope=order.scope,
        )
    speak_of(Subject(order.task.name, handle.id, handle.key))
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
    answer = Answer(202, {"Location": f"{TASKS_PATH}/{handle.id}"}, to_json(body))
    return Submitted(answer, context.history.adding(_submission(order, handle)))


def links(task_id: str, source_id: str | None) -> dict[str, str | None]:
    """Where the task, its events, its cancellation and its source are."""
    here = f"{TASKS_PATH}/{task_id}"
    source = None if source_id is None else f"{SOURCES_PATH}/{source_id}"
    return {"self": here, "events": f"{here}/events", "cancel": f"{here}/cancel", "source": source}


def _submission(order: Order, handle: Handle) -> Submission:
    return Submission(
        tenant=order.tenant,
        task_id=handle.id,
        name=order.task.name,
        key=handle.key,
        decision=handle.decision.value,
        chatbot_id=order.chatbot_id,
        source_id=order.source_id,
        arguments=order.summary(),
    )
