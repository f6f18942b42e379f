"""A task's life as server-sent events.

Source: HTML living standard, section 9.2, "Server-sent events".
"""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.api.context import Context
from app.api.encoding import to_json
from app.api.errors import ProblemError
from app.api.views import view_of
from app.stores.task_history import TaskRecord
from queues import State
from queues.errors import StoreUnavailableError

MAX_STREAMS = 500
MAX_STREAM_S = 3600.0
SLOWEST_POLL_S = 1.0
RECONNECT_MS = 2000


async def watch(request: Request, context: Context, record: TaskRecord, last_event_id: str | None) -> Response:
    """The task's events from now on, until it ends, the client goes, the server stops, or an hour passed.

    An event's id names what it shows, not its number: who comes back with the id of what is still true hears
    nothing until it changes, and who has seen the end gets 204, which tells a browser not to come back.

    Raises:
        ProblemError: 503, too many streams are open in this process.
    """
    view = await _look(context, record)
    if _is_final(view) and last_event_id == _event_id(view):
        return Response(status_code=204)
    open_streams: set[object] = request.app.state.open_streams
    if len(open_streams) >= MAX_STREAMS:
        raise ProblemError(503, "too-many-streams", "Too many event streams are open.", retry_after_s=5)
    return StreamingResponse(
        _counted(open_streams, _events(context, record, view, last_event_id)),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


async def _counted(open_streams: set[object], events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    stream = object()
    open_streams.add(stream)
    try:
        async for event in events:
            yield event
    finally:
        open_streams.discard(stream)


async def _events(context: Context, record: TaskRecord, view: dict[str, Any], seen: str | None) -> AsyncIterator[bytes]:
    end = time.monotonic() + MAX_STREAM_S
    heard = time.monotonic()
    pause_s = context.poll_s
    previous: dict[str, Any] = {}
    yield f"retry: {RECONNECT_MS}\n\n".encode()
    while not context.closing.is_set() and time.monotonic() < end:
        current = _event_id(view)
        if current != seen:
            yield _encode(current, _kind(previous, view), view)
            seen, previous, heard, pause_s = current, view, time.monotonic(), context.poll_s
        elif time.monotonic() - heard >= context.heartbeat_s:
            yield b": alive\n\n"
            heard = time.monotonic()
        if _is_final(view):
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(context.closing.wait(), pause_s)
        pause_s = min(pause_s * 1.5, SLOWEST_POLL_S)
        try:
            view = await _look(context, record)
        except StoreUnavailableError:
            # It may come back; the client hears that the stream lives.
            yield b": the store does not answer\n\n"
            pause_s = SLOWEST_POLL_S


async def _look(context: Context, record: TaskRecord) -> dict[str, Any]:
    view = view_of(record, await context.queue.handle(record.task_id).status_async())
    # It changes with every look and would make each one an event.
    del view["retry_in"]
    return view


def _is_final(view: dict[str, Any]) -> bool:
    state = State(view["state"])
    return not state.is_live


def _kind(previous: dict[str, Any], view: dict[str, Any]) -> str:
    is_same = previous.get("state") == view["state"] and previous.get("attempt") == view["attempt"]
    return "progress" if is_same else "state"


def _event_id(view: dict[str, Any]) -> str:
    shown = {name: view[name] for name in ("state", "attempt", "progress", "result", "error")}
    return hashlib.blake2b(to_json(shown), digest_size=12).hexdigest()


def _encode(event_id: str, kind: str, view: dict[str, Any]) -> bytes:
    # The encoder writes no line break, so the data is one line.
    return f"id: {event_id}\nevent: {kind}\ndata: ".encode() + to_json(view) + b"\n\n"
