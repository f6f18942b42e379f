"""Routes that show the sources and their chunks, and search them."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.api.access import Principal
from app.api.context import Context
from app.api.deps import (
    ChatbotQuery,
    ContextDep,
    Cursor,
    Limit,
    Reader,
    Writer,
    next_cursor,
    own_chatbot,
    page_key,
    purpose_of,
)
from app.api.encoding import check_text, json_response
from app.api.errors import Fault, invalid, not_found
from app.api.schemas import ChunkList, SearchResult, SourceList, SourceView
from app.search import MAX_HITS, Hit
from app.stores.source import Source, SourceKind, SourceStatus

router = APIRouter(tags=["sources"])
_FIELDS = frozenset(SourceView.model_fields)


@router.get("/sources", response_model=SourceList)
async def list_sources(
    context: ContextDep,
    principal: Reader,
    chatbot_id: ChatbotQuery = None,
    kind: SourceKind | None = None,
    status: SourceStatus | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Your documents and web pages, newest first."""
    chatbot_id = own_chatbot(principal, chatbot_id)
    if status is SourceStatus.REMOVED:
        raise invalid(Fault("query/status", "removed sources are not listed", "enum"))
    purpose = purpose_of(principal, "sources", chatbot_id, kind, status)
    page = await context.stores.sources.list(
        principal.tenant,
        chatbot_id=chatbot_id,
        kind=kind,
        status=status,
        limit=limit,
        after=page_key(context, purpose, cursor),
    )
    items = [_view(source) for source in page.items]
    return json_response({"items": items, "next_cursor": next_cursor(context, purpose, page.next_key)})


@router.get("/sources/{source_id}", response_model=SourceView)
async def read_source(context: ContextDep, principal: Reader, source_id: str) -> Response:
    """One document or web page."""
    return json_response(_view(await _own(context, principal, source_id)))


@router.delete("/sources/{source_id}", status_code=204)
async def remove_source(context: ContextDep, principal: Writer, source_id: str) -> Response:
    """Remove a source: at once from lists and searches, its text and file with the next cleanup."""
    await _own(context, principal, source_id)
    if not await context.stores.sources.remove(principal.tenant, source_id):
        raise not_found("source")
    return Response(status_code=204)


@router.get("/sources/{source_id}/chunks", response_model=ChunkList)
async def list_chunks(
    context: ContextDep, principal: Reader, source_id: str, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """The text of a source in pieces, in its order, each with its place."""
    await _own(context, principal, source_id)
    purpose = purpose_of(principal, "chunks", source_id)
    position = 0 if cursor is None else int(context.signer.read(purpose, cursor))
    page = await context.stores.chunks.list(principal.tenant, source_id, limit=limit, from_position=position)
    if page is None:
        raise not_found("source")
    items = [{name: getattr(chunk, name) for name in ("id", "position", "place", "text")} for chunk in page.items]
    following = None if page.next_position is None else context.signer.sign(purpose, str(page.next_position))
    return json_response({"items": items, "next_cursor": following})


@router.get("/search", response_model=SearchResult)
async def search(
    context: ContextDep,
    principal: Reader,
    q: Annotated[str, Query(min_length=1, max_length=1000, examples=["return policy"])],
    chatbot_id: ChatbotQuery = None,
    limit: Annotated[int, Query(ge=1, le=MAX_HITS)] = 10,
) -> Response:
    """The pieces of text that answer to the words of `q` (BM25), best first, each with its citation."""
    check_text(q, "query/q")
    chatbot_id = own_chatbot(principal, chatbot_id)
    found = await context.search.find(principal.tenant, chatbot_id, q, limit)
    return json_response(
        {"query": q, "hits": [_hit(hit) for hit in found.hits], "chunks_searched": found.chunks_searched}
    )


async def _own(context: Context, principal: Principal, source_id: str) -> Source:
    source = await context.stores.sources.get(principal.tenant, source_id)
    if source is None or (principal.chatbot_id is not None and source.chatbot_id != principal.chatbot_id):
        raise not_found("source")
    return source


def _view(source: Source) -> dict[str, Any]:
    return {name: value for name, value in asdict(source).items() if name in _FIELDS}


def _hit(hit: Hit) -> dict[str, Any]:
    citation = {
        "source_id": hit.source.id,
        "name": hit.source.name,
        "url": hit.source.canonical_url or hit.source.url,
        "place": hit.chunk.place,
        "position": hit.chunk.position,
    }
    return {"score": round(hit.score, 4), "text": hit.chunk.text, "citation": citation}
