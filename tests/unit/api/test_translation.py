"""Which error gets which answer."""

import errno
import json

import pytest
from starlette.exceptions import HTTPException

from app.api.access import bearer
from app.api.encoding import JsonBodyError
from app.api.errors import invalid, not_found
from app.api.translation import problem_of
from app.extract.errors import EmptyFileError, UnsupportedTypeError
from app.stores import errors as stores
from app.stores.limits import TooManyTasksError
from app.stores.redis import RedisUnavailableError
from queues import errors as queues


@pytest.mark.parametrize(
    ("error", "status", "code", "has_retry"),
    [
        (not_found("task"), 404, "not-found", False),
        (invalid(), 422, "invalid-request", False),
        (JsonBodyError("not JSON"), 400, "malformed-body", False),
        (HTTPException(405), 405, "method-not-allowed", False),
        (HTTPException(418), 418, "http-error", False),
        (TooManyTasksError(10), 429, "too-many-tasks", True),
        (RedisUnavailableError("x"), 503, "unavailable", True),
        (stores.StoreUnavailableError("x"), 503, "unavailable", True),
        (queues.StoreUnavailableError("x"), 503, "unavailable", True),
        (queues.BrokerUnavailableError("x"), 503, "unavailable", True),
        (queues.AlreadyRunningError("k", 1500), 409, "already-running", True),
        (queues.KeyConflictError("k"), 422, "key-conflict", False),
        (queues.InvalidIdError("x"), 404, "not-found", False),
        (queues.TaskNotFoundError("x"), 404, "not-found", False),
        (queues.InvalidArgumentsError("x"), 422, "invalid-arguments", False),
        (UnsupportedTypeError("a.exe", "no"), 415, "unsupported-type", False),
        (EmptyFileError("a.txt"), 422, "empty-file", False),
        (OSError(errno.ENOSPC, "full"), 507, "storage-full", True),
        (stores.SourceRemovedError("s"), 409, "source-removed", False),
    ],
)
def test_each_known_error_has_its_answer(error, status, code, has_retry):
    problem = problem_of(error)

    assert problem is not None
    assert (problem.status, problem.code, problem.retry_after_s is not None) == (status, code, has_retry)


def test_an_unknown_error_has_none():
    assert problem_of(ValueError("secret")) is None


def test_an_answer_is_a_problem_document():
    response = not_found("task").problem.response()

    body = json.loads(response.body)
    assert response.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "instance", "code"} == set(body)
    assert (body["title"], body["status"]) == ("Not Found", 404)


@pytest.mark.parametrize("error", [RedisUnavailableError("10.0.0.7:6379"), stores.StoreUnavailableError("10.0.0.7")])
def test_an_answer_does_not_tell_where_the_servers_are(error):
    problem = problem_of(error)

    assert problem is not None
    assert "10.0.0.7" not in json.dumps(problem.body())


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic abc", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Bearer a b", None),
        ("Bearer é", None),
        ("Bearer " + "x" * 513, None),
        (None, None),
    ],
)
def test_a_key_is_read_from_the_authorization_header(header, key):
    assert bearer(header) == key
