"""Which answer each error gets. The only place where errors of other packages become problems."""

import errno

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.api.encoding import JsonBodyError
from app.api.errors import Fault, Problem, ProblemError
from app.extract.errors import EmptyFileError, UnsupportedTypeError
from app.stores import errors as store_errors
from app.stores.limits import TooManyTasksError
from app.stores.redis import RedisUnavailableError
from queues import errors as queue_errors

RETRY_AFTER_S = 5
RETRY_AFTER_FULL_S = 300
_CODES = {
    400: "bad-request",
    401: "unauthorized",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
}
_UNAVAILABLE = (
    RedisUnavailableError,
    queue_errors.BrokerUnavailableError,
    queue_errors.StoreUnavailableError,
    store_errors.StoreUnavailableError,
)


def problem_of(error: Exception) -> Problem | None:
    """The problem that tells a client of `error`; None when nobody thought of it, which is a 500."""
    match error:
        case ProblemError():
            return error.problem
        case RequestValidationError():
            return _of_validation(error)
        case JsonBodyError():
            detail = f"The body is refused: {error.detail}."
            faults = [Fault(error.pointer, error.detail)] if error.pointer else []
            return Problem(400, "malformed-body", detail, faults)
        case HTTPException():
            code = _CODES.get(error.status_code, "http-error")
            return Problem(error.status_code, code, f"{error.detail}.", headers=error.headers or {})
        case ClientDisconnect():
            return Problem(400, "client-closed", "The client went away before the body was complete.")
        case _ if isinstance(error, _UNAVAILABLE):
            return _of_unavailable(error)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return Problem(507, "storage-full", "There is no room for the file.", retry_after_s=RETRY_AFTER_FULL_S)
        case _:
            return _of_queue(error) or _of_file(error)


def _of_queue(error: Exception) -> Problem | None:
    match error:
        case TooManyTasksError():
            detail = f"{error.limit} tasks are unfinished, which is the limit. Submit again later."
            return Problem(429, "too-many-tasks", detail, retry_after_s=RETRY_AFTER_S)
        case queue_errors.AlreadyRunningError():
            after_s = max(1, -(-error.retry_after_ms // 1000))
            return Problem(409, "already-running", "The same work is in progress.", retry_after_s=after_s)
        case queue_errors.KeyConflictError():
            return Problem(422, "key-conflict", "The task key was used before with other arguments.")
        case queue_errors.TaskNotFoundError() | queue_errors.InvalidIdError():
            return Problem(404, "not-found", "There is no such task.")
        case queue_errors.InvalidArgumentsError() | queue_errors.UnencodableError():
            return Problem(422, "invalid-arguments", f"The arguments do not fit the task: {error}.")
        case _:
            return None


def _of_file(error: Exception) -> Problem | None:
    match error:
        case UnsupportedTypeError():
            return Problem(415, "unsupported-type", f"{error}".rstrip(".") + ".")
        case EmptyFileError():
            return Problem(422, "empty-file", "The file is empty.", [Fault("/file", "empty", "empty")])
        case store_errors.SourceRemovedError():
            return Problem(409, "source-removed", "The source was removed.")
        case _:
            return None


def _of_unavailable(error: Exception) -> Problem:
    if isinstance(error, store_errors.StoreUnavailableError):
        what = "The database"
    elif isinstance(error, queue_errors.BrokerUnavailableError):
        what = "The broker"
    else:
        what = "Redis"
    detail = f"{what} does not answer. The request may be repeated: nothing is done twice."
    return Problem(503, "unavailable", detail, retry_after_s=RETRY_AFTER_S)


def _of_validation(error: RequestValidationError) -> Problem:
    faults = []
    for each in error.errors()[:50]:
        place, *path = each["loc"]
        pointer = "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in path)
        # In a body a pointer begins with a slash; elsewhere it says where the parameter stands.
        faults.append(Fault(f"/{pointer}" if place == "body" else f"{place}/{pointer}", each["msg"], each["type"]))
    return Problem(422, "invalid-request", "The request holds values that cannot be used.", faults)
