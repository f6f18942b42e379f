"""The documentation page and the OpenAPI document. Everything comes from here: no page of ours loads from outside."""

import secrets
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from app.api.encoding import json_response

router = APIRouter(include_in_schema=False)
_NONCE = "{nonce}"


@router.get("/api/openapi.json")
async def document(request: Request) -> Response:
    """The OpenAPI document."""
    return json_response(request.app.openapi())


@router.get("/api/docs")
async def page() -> Response:
    """A page that shows the OpenAPI document, and can try its operations."""
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(_template().replace(_NONCE, nonce), headers={"Content-Security-Policy": policy})


@cache
def _template() -> str:
    return files("app.api").joinpath("docs.html").read_text("utf-8")
