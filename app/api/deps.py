"""What a route gets beside its own parameters."""

from typing import Annotated

from fastapi import Depends, Header, Query, Request
from fastapi.security import HTTPBearer

from app.api.access import Principal, Scope
from app.api.context import Context
from app.api.errors import Fault, ProblemError, invalid
from app.api.orders import check_scope
from app.api.schemas import CHATBOT_ID
from app.stores.paging import PageKey

# The gate has done the work; this tells the OpenAPI document of it.
_BEARER = HTTPBearer(auto_error=False, description="The key that the first start printed, or `API_KEY`.")


def context_of(request: Request) -> Context:
    """What the process works with."""
    context: Context = request.app.state.context
    return context


async def _context(request: Request) -> Context:
    return context_of(request)


def _principal(request: Request, scope: Scope) -> Principal:
    principal: Principal | None = getattr(request.state, "principal", None)
    if principal is None:
        # Not reached while the gate stands before all of these routes; without it, nobody gets in.
        raise ProblemError(401, "unauthorized", "No key was checked.", headers={"WWW-Authenticate": "Bearer"})
    check_scope(principal, scope)
    return principal


async def _reader(request: Request, _bearer: Annotated[object, Depends(_BEARER)]) -> Principal:
    return _principal(request, Scope.READ)


async def _writer(request: Request, _bearer: Annotated[object, Depends(_BEARER)]) -> Principal:
    return writer(request)


def writer(request: Request) -> Principal:
    """Who calls; may write.

    Raises:
        ProblemError: 403, the key has not the scope.
    """
    return _principal(request, Scope.WRITE)


ContextDep = Annotated[Context, Depends(_context)]
Reader = Annotated[Principal, Depends(_reader)]
Writer = Annotated[Principal, Depends(_writer)]
ChatbotQuery = Annotated[str | None, Query(pattern=CHATBOT_ID, description="Only of this chatbot.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]
Cursor = Annotated[str | None, Query(max_length=1000, description="`next_cursor` of the page before.")]
_KEY_TEXT = "1 to 255 visible ASCII characters, best a random UUID; kept for 24 hours."
RequiredKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description=f"Required. {_KEY_TEXT}"),
]
OptionalKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description=f"Optional: the same content gets the same task without it. {_KEY_TEXT}",
    ),
]


def own_chatbot(principal: Principal, chatbot_id: str | None) -> str | None:
    """The chatbot to list: the one that was asked for, or the key's own when it is bound to one.

    Raises:
        ProblemError: 422, another chatbot's was asked for.
    """
    if principal.chatbot_id is None or chatbot_id is None:
        return chatbot_id or principal.chatbot_id
    if chatbot_id != principal.chatbot_id:
        raise invalid(Fault("query/chatbot_id", "this key is for another chatbot", "other_chatbot"))
    return chatbot_id


def page_key(context: Context, purpose: str, cursor: str | None) -> PageKey | None:
    """Where a list goes on; None is its beginning.

    Raises:
        ProblemError: 400, the cursor is not one that this list gave out.
    """
    return None if cursor is None else PageKey.decode(context.signer.read(purpose, cursor))


def next_cursor(context: Context, purpose: str, key: PageKey | None) -> str | None:
    """The signed cursor for the next page; None after the last one."""
    return None if key is None else context.signer.sign(purpose, key.encode())


def purpose_of(principal: Principal, *parts: str | None) -> str:
    """Names a list and its filters, for its cursors."""
    return "|".join([principal.tenant, *(part or "" for part in parts)])
