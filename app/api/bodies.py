"""Bodies, read within their limits: JSON whole, files as a stream."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from app.api.deps import context_of, writer
from app.api.encoding import from_json
from app.api.errors import ProblemError

MAX_JSON_BYTES = 1024 * 1024
SILENCE_S = 60.0
_GIVEN = {"request", "context", "principal", "body", "idempotency_key"}


class JsonRoute(APIRoute):
    """A route whose JSON body is read and checked here; the other parameters, too, are given by their names.

    FastAPI solves the tree of dependencies, and reads the body a second time, with every request: a fifth of what a
    submission took. Its document of the route comes from the same signature. A route without a body is FastAPI's own.

    Raises:
        ProblemError: 413, over 1 MB (by the header at once, else while counting); 415, not JSON.
        JsonBodyError: 400, see `app.api.encoding.from_json`.
        RequestValidationError: 422, the body does not fit.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler."""
        if self.body_field is None:
            return super().get_route_handler()
        endpoint, taken = self.endpoint, inspect.signature(self.endpoint).parameters
        annotation: Any = taken["body"].annotation
        body_type: TypeAdapter[Any] = TypeAdapter(annotation)
        if unknown := taken.keys() - _GIVEN - self.param_convertors.keys():
            msg = f"{self.path}: nothing gives {', '.join(sorted(unknown))}"
            raise TypeError(msg)

        async def handle(request: Request) -> Response:
            given = {**request.path_params, "request": request, "context": context_of(request)}
            given["principal"] = writer(request)  # before anything is read
            given["body"] = validated(body_type, await _read(request))
            if "idempotency_key" in taken:
                given["idempotency_key"] = request.headers.get("Idempotency-Key")
            response: Response = await endpoint(**given)
            return response

        return handle


def validated(body_type: TypeAdapter[Any], value: object) -> Any:
    """The body as its type.

    Raises:
        RequestValidationError: it does not fit; the faults' places are as FastAPI's.
    """
    try:
        return body_type.validate_python(value)
    except ValidationError as exc:
        errors = [{**each, "loc": ("body", *each["loc"])} for each in exc.errors(include_url=False)]
        raise RequestValidationError(errors) from None


async def _read(request: Request) -> Any:
    """The JSON of a body."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ProblemError(415, "unsupported-media-type", "The body must be `application/json`.")
    check_declared(request, MAX_JSON_BYTES, MAX_JSON_BYTES)
    return from_json(await _whole(request))


async def _whole(request: Request) -> bytes:
    pieces, count, loop, is_last = [], 0, asyncio.get_running_loop(), False
    try:
        # One timer for all pieces: mostly there is one only.
        async with asyncio.timeout(SILENCE_S) as silence:
            while not is_last:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                piece, is_last = message.get("body", b""), not message.get("more_body", False)
                count += len(piece)
                if count > MAX_JSON_BYTES:
                    raise too_large(MAX_JSON_BYTES)
                pieces.append(piece)
                if piece and not is_last:
                    silence.reschedule(loop.time() + SILENCE_S)
    except TimeoutError:
        raise _too_slow() from None
    return b"".join(pieces)


async def limited(request: Request, max_bytes: int, overhead_bytes: int = 0) -> AsyncIterator[bytes]:
    """The body's pieces as they arrive, up to `max_bytes` and the overhead of a form.

    Raises:
        ProblemError: 413, as soon as the header or the count says that it is over; 408, a minute of silence.
        starlette.requests.ClientDisconnect: the client went away before the end.
    """
    check_declared(request, max_bytes + overhead_bytes, max_bytes)
    count = 0
    pieces = request.stream()
    while (chunk := await _next(pieces)) is not None:
        count += len(chunk)
        if count > max_bytes + overhead_bytes:
            raise too_large(max_bytes)
        yield chunk


def check_declared(request: Request, allowed_bytes: int, max_bytes: int) -> None:
    """Return unless the header declares a body of more than is allowed.

    Raises:
        ProblemError: 413, which names `max_bytes`.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > allowed_bytes:
        raise too_large(max_bytes)


async def _next(pieces: AsyncGenerator[bytes, None]) -> bytes | None:
    try:
        async with asyncio.timeout(SILENCE_S):
            return await anext(pieces, None)
    except TimeoutError:
        raise _too_slow() from None


def _too_slow() -> ProblemError:
    detail = f"Nothing of the body came for {SILENCE_S:.0f} seconds."
    return ProblemError(408, "too-slow", detail, headers={"Connection": "close"})


def too_large(max_bytes: int) -> ProblemError:
    """The 413 that names the limit; the connection ends with it, because the rest of the body is not read."""
    detail = f"More than {max_bytes} bytes were sent, which is the limit."
    return ProblemError(413, "too-large", detail, headers={"Connection": "close"})
