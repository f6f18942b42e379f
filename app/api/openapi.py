"""The OpenAPI document: FastAPI's, with the problem each route may answer."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.errors import MEDIA_TYPE
from app.api.schemas import ProblemBody

DESCRIPTION = """Documents and websites in, searchable text with citations out.

Every submission is answered `202` with the place of its task. The same work submitted again, at the same time or
later, is the same task. Errors are `application/problem+json` (RFC 9457).

Send the key that the first start printed as `Authorization: Bearer <key>`."""
_ALWAYS = {
    "401": "No key, or not one of ours",
    "403": "The key does not allow this",
    "404": "There is no such thing, or it is not yours",
    "429": "Too many requests, or too many unfinished tasks: `Retry-After` says when",
    "503": "A part of the service does not answer: repeat the request after `Retry-After`",
}
_SUBMITTING = {
    "400": "The body or the `Idempotency-Key` is malformed, or the key is missing where it is required",
    "409": "The first request with this `Idempotency-Key` still runs: `Retry-After` says when",
    "413": "The body is too large",
    "415": "The body, or the file in it, is of another type",
    "422": "Values that cannot be used, or the `Idempotency-Key` was used with another payload",
}
_READING = {"400": "The cursor is not one of this list", "422": "Values that cannot be used"}
_REFERENCE = {"$ref": "#/components/schemas/ProblemBody"}
_METHODS = ("get", "post", "put", "patch", "delete")


def install(app: FastAPI) -> None:
    """Let the app serve the finished document; it is made once, when it is first asked for."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _document(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
    schemas = schema["components"]["schemas"]
    problem = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["ProblemBody"] = problem
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if method in _METHODS and path.startswith("/api/v1/"):
                _describe(operation, is_submission="202" in operation["responses"] and "requestBody" in operation)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return schema


def _describe(operation: dict[str, Any], *, is_submission: bool) -> None:
    responses = operation["responses"]
    # FastAPI's own 422 has another shape than ours.
    responses.pop("422", None)
    for status, text in {**_ALWAYS, **(_SUBMITTING if is_submission else _READING)}.items():
        responses[status] = {"description": text, "content": {MEDIA_TYPE: {"schema": _REFERENCE}}}
    if not is_submission and "202" in responses:
        responses["409"] = {"description": "It has ended", "content": {MEDIA_TYPE: {"schema": _REFERENCE}}}
    accepted = responses.get("202")
    if is_submission and accepted is not None:
        string = {"type": "string"}
        accepted["headers"] = {
            "Location": {"description": "Where the task is", "schema": string},
            "Idempotency-Replayed": {"description": "`true`: the first answer again", "schema": string},
        }
    for parameter in operation.get("parameters", []):
        is_key = parameter["name"] == "Idempotency-Key"
        if is_key and parameter.get("description", "").startswith("Required"):
            parameter["required"] = True
            parameter["schema"] = {
                "type": "string",
                "maxLength": 255,
                "examples": ["8e03978e-40d5-43dd-bc93-6894a57f9324"],
            }
