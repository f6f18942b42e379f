"""The gate before `/api/v1`: who calls, and whether they called too often. No body is read before it."""

from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.access import KeyRing, Principal, bearer
from app.api.errors import ProblemError
from app.stores.limits import Allowance, RateLimit

GUARDED_PATH = "/api/v1"
_WINDOW_S = 60


@dataclass(frozen=True, slots=True)
class Guards:
    """What the gate asks."""

    keys: KeyRing
    rate: RateLimit


class Gate:
    """ASGI middleware; sets `request.state.principal` for all under `/api/v1`.

    Raises:
        ProblemError: 401, no key or not one of ours; 429, too many requests in the last minute.
        StoreUnavailableError, RedisUnavailableError: the key cannot be looked up, or the request not be
            counted, so it is not let in.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or raise."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path == GUARDED_PATH or path.startswith(GUARDED_PATH + "/")):
            await self._app(scope, receive, send)
            return
        guards: Guards = scope["app"].state.guards
        principal = await _identify(guards.keys, Headers(scope=scope))
        allowance = await guards.rate.take(f"{principal.tenant}:{principal.id}")
        counted = _rate_headers(allowance)
        if not allowance.is_allowed:
            after_s = max(1, -(-allowance.reset_ms // 1000))
            detail = f"More than {allowance.limit} requests in a minute."
            raise ProblemError(429, "rate-limited", detail, retry_after_s=after_s, headers=counted)
        scope.setdefault("state", {})["principal"] = principal

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(counted)
            await send(message)

        await self._app(scope, receive, counting)


async def _identify(keys: KeyRing, headers: Headers) -> Principal:
    header = headers.get("authorization")
    key = bearer(header)
    principal = await keys.find(key) if key is not None else None
    if principal is not None:
        return principal
    # RFC 6750, section 3.1: no error code when no key was given at all.
    error = ', error="invalid_token"' if header else ""
    detail = "The API key is not known." if header else "Give the API key as `Authorization: Bearer <key>`."
    challenge = {"WWW-Authenticate": f'Bearer realm="onceq"{error}'}
    raise ProblemError(401, "unauthorized", detail, headers=challenge)


def _rate_headers(allowance: Allowance) -> dict[str, str]:
    """The headers of the IETF draft "RateLimit header fields for HTTP"."""
    reset_s = -(-allowance.reset_ms // 1000)
    return {
        "RateLimit-Policy": f'"requests";q={allowance.limit};w={_WINDOW_S}',
        "RateLimit": f'"requests";r={allowance.left};t={reset_s}',
    }
