"""The outermost layer: every answer gets the security headers, every escaped error an answer."""

import logging

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import Problem
from app.api.translation import problem_of

_LOG = logging.getLogger(__name__)

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class Boundary:
    """ASGI middleware; a route's own header wins over the ones set here.

    An error nobody thought of becomes a 500 that tells nothing but its instance; the log has the rest.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_started = False

        async def guarded(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, guarded)
        except Exception as error:
            problem = problem_of(error) or unexpected(error)
            if is_started:
                # The answer is under way and cannot be taken back: end the connection, so that it is seen
                # to be incomplete.
                raise
            await problem.response()(scope, receive, guarded)


def unexpected(error: Exception) -> Problem:
    """A 500 that says nothing of the error, which is logged under the problem's instance."""
    problem = Problem(500, "internal", "Something went wrong here. The log has more under this instance.")
    _LOG.error("%s: unexpected error", problem.instance, exc_info=error)
    return problem
