"""A refusal that reaches the client, although its body was not read to the end.

A server that answers and closes while bytes still arrive makes the kernel send a reset, and a reset may throw
away the answer that the client has not read yet. Source: RFC 9112, section 9.6.
"""

import asyncio
import contextlib
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DRAIN_S = 2.0
_FIRST_ERROR = 400


class Draining:
    """ASGI middleware: sends an error at once, then reads and forgets the rest of the body, two seconds at most."""

    def __init__(self, app: ASGIApp, drain_s: float = DRAIN_S) -> None:
        self._app = app
        self._drain_s = drain_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        has_body = "content-length" in headers or "transfer-encoding" in headers
        # A client that waits for our consent sends nothing after a refusal.
        if not has_body or "expect" in headers:
            await self._app(scope, receive, send)
            return
        is_read = is_error = False

        async def watched() -> Message:
            nonlocal is_read
            message = await receive()
            is_read = is_read or message["type"] == "http.disconnect" or not message.get("more_body", False)
            return message

        async def rest() -> None:
            # A fast sender never lets us wait, and then no time limit of the event loop is heard.
            deadline = time.monotonic() + self._drain_s
            while not is_read and time.monotonic() < deadline:
                await watched()

        async def held(message: Message) -> None:
            nonlocal is_error
            if message["type"] == "http.response.start":
                is_error = message["status"] >= _FIRST_ERROR
            is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if not (is_last and is_error) or is_read:
                await send(message)
                return
            await send({**message, "more_body": True})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(rest(), self._drain_s)
            await send({"type": "http.response.body", "body": b""})

        await self._app(scope, watched, held)
