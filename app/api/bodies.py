"""Bodies, read within their limits: JSON whole, files as a stream."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from app.api.encoding import from_json
from app.api.errors import ProblemError

MAX_JSON_BYTES = 1024 * 1024
SILENCE_S = 60.0


class JsonRoute(APIRoute):
    """A route whose JSON body is read and checked before FastAPI sees it.

    Raises:
        ProblemError: 413, over 1 MB (by the header at once, else while counting); 415, not JSON.
        JsonBodyError: 400, see `app.api.encoding.from_json`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler with the reader before it."""
        handle = super().get_route_handler()
        has_body = self.body_field is not None

        async def guarded(request: Request) -> Response:
            if has_body:
                await _preread(request)
            return await handle(request)

        return guarded


async def _preread(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ProblemError(415, "unsupported-media-type", "The body must be `application/json`.")
    body = b"".join([chunk async for chunk in limited(request, MAX_JSON_BYTES)])
    from_json(body)
    # Where Starlette keeps a body that was read: FastAPI finds it there. A test pins it.
    request._body = body


async def limited(request: Request, max_bytes: int, overhead_bytes: int = 0) -> AsyncIterator[bytes]:
    """The body's pieces as they arrive, up to `max_bytes` and the overhead of a form.

    Raises:
        ProblemError: 413, as soon as the header or the count says that it is over; 408, a minute of silence.
        starlette.requests.ClientDisconnect: the client went away before the end.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > max_bytes + overhead_bytes:
        raise too_large(max_bytes)
    count = 0
    pieces = request.stream()
    while (chunk := await _next(pieces)) is not None:
        count += len(chunk)
        if count > max_bytes + overhead_bytes:
            raise too_large(max_bytes)
        yield chunk


async def _next(pieces: AsyncGenerator[bytes, None]) -> bytes | None:
    try:
        async with asyncio.timeout(SILENCE_S):
            return await anext(pieces, None)
    except TimeoutError:
        detail = f"Nothing of the body came for {SILENCE_S:.0f} seconds."
        raise ProblemError(408, "too-slow", detail, headers={"Connection": "close"}) from None


def too_large(max_bytes: int) -> ProblemError:
    """The 413 that names the limit; the connection ends with it, because the rest of the body is not read."""
    detail = f"More than {max_bytes} bytes were sent, which is the limit."
    return ProblemError(413, "too-large", detail, headers={"Connection": "close"})
