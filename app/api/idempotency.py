"""`Idempotency-Key`: a submission that is repeated with its key gets the first answer again.

The HTTP key names a request, the task key names the work; the second is computed from the work itself. So a
repeated submission does no harm without this header either: it gets the same task, in an answer made anew.

Source: IETF draft "The Idempotency-Key HTTP Header Field" (draft-ietf-httpapi-idempotency-key-header).
"""

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response

from app.api.access import Principal
from app.api.errors import Fault, ProblemError
from app.stores.http_idempotency import Begun, Busy, Conflict, HttpIdempotencyStore, Replayed
from app.stores.redis import Call, RedisUnavailableError, together

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
MAX_KEY_CHARACTERS = 255
RETRY_AFTER_S = 1
_BARE = re.compile(r"[!#-\[\]-~]{1,255}")
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,510})"')


@dataclass(frozen=True, slots=True)
class Answer:
    """What a submission is answered, in a form that can be kept and sent again; `body` is JSON."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def encode(self) -> bytes:
        """The answer as it is kept."""
        return orjson.dumps([self.status, dict(self.headers), self.body.decode()])

    def response(self) -> Response:
        """The answer as it is sent the first time."""
        return _json(self.body, self.status, self.headers)


@dataclass(frozen=True, slots=True)
class Submitted:
    """What a submission is answered once a call to Redis was made, which keeps it for its owner."""

    answer: Answer
    keeping: Call


def parse_key(header: str | None) -> str | None:
    """The key in the header, or None when there is no header.

    A structured-field string (`"8e03978e"`) and the same without its quotes name the same key.

    Raises:
        ProblemError: 400, empty, longer than 255 characters, or not visible ASCII.
    """
    if header is None:
        return None
    text = header.strip()
    quoted = _QUOTED.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
    if not (quoted or _BARE.fullmatch(text)) or not key.strip() or len(key) > MAX_KEY_CHARACTERS:
        detail = f"{HEADER} must be 1 to {MAX_KEY_CHARACTERS} visible ASCII characters, best a random UUID."
        raise ProblemError(400, "idempotency-key-malformed", detail, faults=[_fault("malformed")])
    return key


def require_key(header: str | None) -> str:
    """The key in the header.

    Raises:
        ProblemError: 400, there is none, or it is malformed.
    """
    key = parse_key(header)
    if key is None:
        detail = f"This operation needs {HEADER}: one value for each thing that you mean to do once."
        raise ProblemError(400, "idempotency-key-missing", detail, faults=[_fault("missing")])
    return key


def fingerprint(*parts: str | bytes) -> str:
    """SHA-256 in hex over the parts of a request that make its payload."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(f"{len(data)}:".encode() + data)
    return digest.hexdigest()


class Idempotency:
    """Answers a repeated request from the first one's answer."""

    def __init__(self, store: HttpIdempotencyStore) -> None:
        self._store = store

    async def run(
        self,
        request: Request,
        principal: Principal,
        key: str | None,
        payload: str,
        submit: Callable[[], Awaitable[Submitted]],
    ) -> Response:
        """What `submit` answers, or what the first request with this key was answered.

        Only success is kept: after an error the same key may be tried again. A request that dies keeps the
        key busy until its lease ends; then a retry submits again, and the task key makes that harmless.

        Args:
            request: names the method and the route; `principal` whose key it is.
            key: from `parse_key`; None submits without looking.
            payload: the request's `fingerprint`.

        Raises:
            ProblemError: 409, the first still runs; 422, the key was used with another payload.
            RedisUnavailableError: nothing was submitted, or it cannot be told: ask again.
        """
        if key is None:
            submitted = await submit()
            await together(submitted.keeping)
            return submitted.answer.response()
        path = request.scope["path"]
        route = str(getattr(request.scope.get("route"), "path", path))
        scope = (principal.tenant, principal.id, request.method, route)
        payload = fingerprint(request.method, path, payload)
        match await self._store.begin(scope, key, payload):
            case Busy():
                # Mostly answered within a moment, so not after the whole lease.
                detail = "The first request with this key is not answered yet."
                raise ProblemError(409, "idempotency-key-in-use", detail, retry_after_s=RETRY_AFTER_S)
            case Conflict():
                detail = "This key was used before with another payload. Take a new one for a new request."
                raise ProblemError(422, "idempotency-key-reused", detail, faults=[_fault("reused")])
            case Replayed(kept):
                status, headers, body = orjson.loads(kept)
                return _json(body.encode(), status, {**headers, REPLAYED_HEADER: "true"})
            case Begun() as begun:
                return await self._first(begun, submit)

    async def _first(self, begun: Begun, submit: Callable[[], Awaitable[Submitted]]) -> Response:
        try:
            submitted = await submit()
            # One round trip for both.
            await together(submitted.keeping, self._store.completing(begun, submitted.answer.encode()))
        except BaseException:
            # Redis may be what failed: then the lease ends by itself, and the client hears of the first error.
            with contextlib.suppress(RedisUnavailableError):
                await asyncio.shield(self._store.release(begun))
            raise
        return submitted.answer.response()


def _json(body: bytes, status: int, headers: Mapping[str, str]) -> Response:
    return Response(body, status, headers=dict(headers), media_type="application/json")


def _fault(code: str) -> Fault:
    return Fault(f"header/{HEADER}", f"the key is {code}", code)
