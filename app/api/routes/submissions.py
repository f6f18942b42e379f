"""Routes that submit: each answers 202 with the task's place, and does a repeated thing once."""

import asyncio
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from app.api import uploads
from app.api.access import Principal
from app.api.bodies import JsonRoute
from app.api.context import Context
from app.api.deps import ContextDep, OptionalKey, RequiredKey, Writer
from app.api.errors import Fault, invalid
from app.api.idempotency import fingerprint, parse_key, require_key
from app.api.orders import Order, check_chatbot
from app.api.schemas import (
    ChatbotId,
    NotificationRequest,
    ReportRequest,
    TaskAccepted,
    TaskRequest,
    WebsiteRequest,
)
from app.api.submission import submit
from app.stores.source import document_id

router = APIRouter(route_class=JsonRoute, tags=["submit"])
_CHATBOT = TypeAdapter[str](ChatbotId)
_ACCEPTED: dict[str, Any] = {
    "status_code": 202,
    "response_model": TaskAccepted,
    "response_description": "Accepted, now or before",
}
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "chatbot_id"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "At most 25 MB."},
                        "chatbot_id": {"type": "string", "examples": ["bot_456"]},
                    },
                }
            }
        },
    }
}


@router.post("/documents", openapi_extra=_FORM, **_ACCEPTED)
async def submit_document(
    request: Request, context: ContextDep, principal: Writer, idempotency_key: OptionalKey = None
) -> Response:
    """Upload a document: PDF, DOCX, XLSX, CSV, TXT, Markdown or HTML.

    The same file under the same name for the same chatbot is the same document, however often it is sent.
    """
    key = parse_key(idempotency_key)
    limit = context.settings.max_upload_bytes
    async with uploads.receive(request, context.uploads.root, limit) as upload:
        chatbot_id = _form_chatbot(upload)
        check_chatbot(principal, chatbot_id)
        payload = fingerprint(upload.sha256, upload.name, chatbot_id)

        async def prepare() -> Order:
            return await _document_order(context, principal, upload, chatbot_id)

        return await context.idempotency.run(request, principal, key, payload, lambda: submit(context, prepare, key))


@router.post("/websites", **_ACCEPTED)
async def submit_website(
    request: Request,
    context: ContextDep,
    principal: Writer,
    body: WebsiteRequest,
    idempotency_key: OptionalKey = None,
) -> Response:
    """Read a page, or crawl a website from it within limits."""
    key = parse_key(idempotency_key)
    return await _run(request, context, principal, key, "scrape_website", TaskRequest(kwargs=_values(body)))


@router.post("/reports", **_ACCEPTED)
async def submit_report(
    request: Request,
    context: ContextDep,
    principal: Writer,
    body: ReportRequest,
    idempotency_key: OptionalKey = None,
) -> Response:
    """Make an analytics report; repeated within the hour it is answered from the cache."""
    key, task = parse_key(idempotency_key), "generate_analytics_report"
    return await _run(request, context, principal, key, task, TaskRequest(kwargs=_values(body)))


@router.post("/notifications", **_ACCEPTED)
async def submit_notification(
    request: Request,
    context: ContextDep,
    principal: Writer,
    body: NotificationRequest,
    idempotency_key: RequiredKey = None,
) -> Response:
    """Notify a user.

    The same words to the same user within an hour are one notification, also under another `Idempotency-Key`:
    that names the request, not the notification.
    """
    key = require_key(idempotency_key)
    return await _run(request, context, principal, key, "send_notification", TaskRequest(kwargs=_values(body)))


@router.post("/tasks/{name}", **_ACCEPTED)
async def submit_task(
    request: Request,
    context: ContextDep,
    principal: Writer,
    name: str,
    body: TaskRequest,
    idempotency_key: RequiredKey = None,
) -> Response:
    """Submit one of the tasks that the API offers, by its short or its full name."""
    return await _run(request, context, principal, require_key(idempotency_key), name, body)


async def _run(
    request: Request, context: Context, principal: Principal, key: str | None, name: str, body: TaskRequest
) -> Response:
    if body.delay is not None and body.eta is not None:
        raise invalid(Fault("/eta", "is given together with a delay", "twice"))

    async def prepare() -> Order:
        order = await context.catalogue.order(principal, name, body.args, body.kwargs)
        return replace(order, delay=body.delay or 0.0, eta=body.eta, expires=body.expires, priority=body.priority)

    payload = fingerprint(body.model_dump_json())
    return await context.idempotency.run(request, principal, key, payload, lambda: submit(context, prepare, key))


async def _document_order(context: Context, principal: Principal, upload: uploads.Upload, chatbot_id: str) -> Order:
    """Store the file, then its source, then order its reading: each step may be repeated."""
    tenant = principal.tenant
    named = document_id(tenant, chatbot_id, upload.sha256, upload.name)
    path = await asyncio.to_thread(context.uploads.new_path, named, upload.name)
    await asyncio.to_thread(uploads.keep, upload, context.uploads.root / path)
    source = await context.stores.sources.add_document(
        tenant,
        chatbot_id,
        name=upload.name,
        path=path,
        content_hash=upload.sha256,
        size_bytes=upload.size_bytes,
    )
    kwargs = {"document_id": source.id, "path": source.path or path, "chatbot_id": chatbot_id}
    return await context.catalogue.order(principal, "process_document", (), kwargs)


def _form_chatbot(upload: uploads.Upload) -> str:
    unknown = [Fault(f"/{name}", "no such field", "extra_forbidden") for name in upload.fields if name != "chatbot_id"]
    if unknown:
        raise invalid(*unknown)
    value = upload.fields.get("chatbot_id")
    if value is None:
        raise invalid(Fault("/chatbot_id", "Field required", "missing"))
    try:
        return _CHATBOT.validate_python(value)
    except ValidationError as exc:
        raise invalid(Fault("/chatbot_id", exc.errors()[0]["msg"], "invalid")) from None


def _values(body: WebsiteRequest | ReportRequest | NotificationRequest) -> dict[str, Any]:
    return body.model_dump(mode="json", exclude_none=True)
