"""The API's errors: one exception that carries its answer, and the answers as `application/problem+json`.

Source: RFC 9457, "Problem Details for HTTP APIs".
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.api.encoding import to_json

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:onceq:problem:"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request.

    `pointer` is a JSON pointer into the body (`/kwargs/days`), or `query/limit`, `path/name`, `header/...`.
    """

    pointer: str
    detail: str
    code: str = "invalid"


@dataclass(frozen=True, slots=True)
class Problem:
    """What a client is told when a request fails.

    Attributes:
        code: stable, for programs; also the last part of the problem's `type`.
        instance: names this one occurrence; the log of a 500 carries the same.
        retry_after_s: whole seconds after which the request may be repeated.
    """

    status: int
    code: str
    detail: str
    faults: Sequence[Fault] = ()
    retry_after_s: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    instance: str = field(default_factory=lambda: f"urn:uuid:{uuid.uuid4()}")

    def body(self) -> dict[str, Any]:
        """The problem as RFC 9457 spells it, with `code` and, where known, `errors` beside."""
        body: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": self.instance,
            "code": self.code,
        }
        if self.faults:
            body["errors"] = [
                {"pointer": fault.pointer, "detail": fault.detail, "code": fault.code} for fault in self.faults
            ]
        if self.retry_after_s is not None:
            body["retry_after_s"] = self.retry_after_s
        return body

    def response(self) -> Response:
        """The problem as an answer; `Retry-After` is set when it may be repeated."""
        headers = dict(self.headers)
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(self.retry_after_s)
        return Response(to_json(self.body()), self.status, headers=headers, media_type=MEDIA_TYPE)


class ProblemError(HTTPException):
    """Ends a request with a problem. An `HTTPException`, so that FastAPI's own body reader lets it through.

    Args:
        status: the HTTP status, 4xx or 5xx.
        code: stable word for programs, in kebab case.
        detail: one sentence for people; never holds what only the server may know.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail)
        self.problem = Problem(status, code, detail, tuple(faults), retry_after_s, dict(headers or {}))


def not_found(what: str) -> ProblemError:
    """The 404 for what is not there and, word for word the same, for what is not yours."""
    return ProblemError(404, "not-found", f"There is no such {what}.")


def invalid(*faults: Fault) -> ProblemError:
    """The 422 for a request whose parts are readable and wrong."""
    return ProblemError(422, "invalid-request", "The request holds values that cannot be used.", faults=faults)
