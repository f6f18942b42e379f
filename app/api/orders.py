"""What a client may ask to be run, with which arguments: everything is refused here that a task would refuse."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from app.api.access import Principal, Scope
from app.api.errors import Fault, ProblemError, invalid, not_found
from app.api.schemas import ChatbotId, Line, ReportDays, Text, Url
from app.stores.errors import UploadPathError
from app.stores.notifications import NotificationKind
from app.stores.stores import Stores
from app.stores.uploads import Uploads
from queues.task import AnyTask
from queues.tasks import Tasks

NAMESPACE = "app.tasks."
TENANT = "tenant"
MAX_SHOWN_CHARACTERS = 200

# What the API allows for a parameter; for one that is not here, the task's own annotation.
_PARAMETERS: Mapping[str, Any] = {
    "chatbot_id": ChatbotId,
    "document_id": Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$")],
    "user_id": Line,
    "title": Line,
    "message": Text,
    "kind": NotificationKind,
    "url": Url,
    "path": Annotated[str, Field(min_length=1, max_length=1024)],
    "max_pages": Annotated[int, Field(ge=1, le=500)],
    "max_depth": Annotated[int, Field(ge=0, le=10)],
}


@dataclass(frozen=True, slots=True)
class Order:
    """A task to submit, its arguments checked and complete.

    Attributes:
        delay, expires: seconds.
        source_id: the source that the task works on, if any.
    """

    task: AnyTask
    kwargs: Mapping[str, Any]
    tenant: str
    chatbot_id: str | None = None
    source_id: str | None = None
    delay: float = 0.0
    priority: int | None = None
    eta: datetime | None = None
    expires: float | None = None

    @property
    def scope(self) -> str:
        """What keeps this work apart from equal calls: its owner, and its source.

        A website that was removed and is submitted again is another source, and must be read again although
        the call is the same and its outcome still known.
        """
        return self.tenant if self.source_id is None else f"{self.tenant}/{self.source_id}"

    def summary(self) -> dict[str, str]:
        """The arguments as short texts, for the history."""
        shown = {name: value for name, value in self.kwargs.items() if name != TENANT}
        return {name: str(value)[:MAX_SHOWN_CHARACTERS] for name, value in shown.items()}


Finder = Callable[[Principal, dict[str, Any]], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class _Offer:
    """A task that the API offers, and what it needs beside its signature."""

    task: AnyTask
    model: type[BaseModel]
    scope: Scope
    find_source: Finder | None


class Catalogue:
    """The tasks that may be submitted through the API; whatever else is registered may not.

    Args:
        tasks: all registered ones.
        stores: whose sources are asked who owns a document.
        uploads: the only folder whose files may be named.
    """

    def __init__(self, tasks: Tasks, stores: Stores, uploads: Uploads) -> None:
        self._stores = stores
        self._uploads = uploads
        rules: tuple[tuple[str, Scope, Finder | None, Mapping[str, Any]], ...] = (
            ("process_document", Scope.WRITE, self._document, {}),
            ("scrape_website", Scope.WRITE, self._website, {}),
            ("send_notification", Scope.WRITE, None, {}),
            ("generate_analytics_report", Scope.WRITE, None, {"days": ReportDays}),
            # It removes what is old of all tenants.
            ("cleanup_old_data", Scope.ADMIN, None, {"days": Annotated[int, Field(ge=1, le=36_500)]}),
        )
        self._offers: dict[str, _Offer] = {}
        for name, scope, find_source, parameters in rules:
            if NAMESPACE + name in tasks:
                task = tasks.get(NAMESPACE + name)
                model = _model(task, {**_PARAMETERS, **parameters})
                self._offers[name] = _Offer(task, model, scope, find_source)

    @property
    def names(self) -> tuple[str, ...]:
        """The short names of what may be submitted."""
        return tuple(self._offers)

    async def order(
        self, principal: Principal, name: str, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Order:
        """The order for a call of the task, as `principal`; the source of a website is made.

        Args:
            principal: whose call it is; the tenant is theirs, whatever the arguments say.
            name: `process_document` or `app.tasks.process_document`.
            args: positional arguments.
            kwargs: arguments by name.

        Raises:
            ProblemError: 403, the key's scopes or chatbot do not allow it; 404, there is no such task;
                422, the arguments do not fit, each with its pointer.
        """
        offer = self._offers.get(name.removeprefix(NAMESPACE))
        if offer is None:
            raise not_found("task")
        check_scope(principal, offer.scope)
        values = _checked(offer, args, kwargs or {})
        chatbot_id = values.get("chatbot_id")
        check_chatbot(principal, chatbot_id)
        source_id = await offer.find_source(principal, values) if offer.find_source else None
        if TENANT in offer.task.signature.parameters:
            values[TENANT] = principal.tenant
        return Order(offer.task, values, principal.tenant, chatbot_id, source_id)

    async def _document(self, principal: Principal, values: dict[str, Any]) -> str:
        """The document's id, after making sure that document and file are the caller's to read."""
        document_id, sources = values["document_id"], self._stores.sources
        no_file = invalid(Fault("/kwargs/path", "no such file among the uploads", "not_found"))
        try:
            path = self._uploads.relative(values["path"])
            await asyncio.to_thread(self._uploads.resolve, path)
        except (UploadPathError, FileNotFoundError):
            raise no_file from None
        source = await sources.find(document_id)
        if source is None:
            # As the task sees it: a new document, of the tenant that owns what came without one.
            if principal.tenant != "default" or await sources.find_by_path(path) is not None:
                raise no_file
        elif source.tenant != principal.tenant:
            raise invalid(Fault("/kwargs/document_id", "no such document", "not_found"))
        elif source.chatbot_id != values["chatbot_id"]:
            raise invalid(Fault("/kwargs/chatbot_id", "the document is not this chatbot's", "mismatch"))
        elif source.path != path:
            raise no_file
        values["path"] = path
        return str(document_id)

    async def _website(self, principal: Principal, values: dict[str, Any]) -> str:
        """The id of the page's source, which is made when there is none."""
        sources = self._stores.sources
        return (await sources.add_website(principal.tenant, values["chatbot_id"], values["url"])).id


def check_scope(principal: Principal, scope: Scope) -> None:
    """Return if the key has the scope.

    Raises:
        ProblemError: 403, it has not; the answer names the scope.
    """
    if scope.value not in principal.scopes:
        challenge = {"WWW-Authenticate": f'Bearer realm="onceq", error="insufficient_scope", scope="{scope.value}"'}
        detail = f"This key does not have the scope `{scope.value}`."
        raise ProblemError(403, "insufficient-scope", detail, headers=challenge)


def check_chatbot(principal: Principal, chatbot_id: str | None) -> None:
    """Return if the key is not bound to another chatbot.

    Raises:
        ProblemError: 403, it is.
    """
    if principal.chatbot_id is not None and chatbot_id != principal.chatbot_id:
        raise ProblemError(403, "other-chatbot", "This key is for another chatbot.")


def _model(task: AnyTask, parameters: Mapping[str, Any]) -> type[BaseModel]:
    """The task's signature as a model; without `tenant`, which is never the client's to say."""
    hints = inspect.get_annotations(task.fn, eval_str=True)
    fields: dict[str, Any] = {}
    for name, parameter in task.signature.parameters.items():
        if name == TENANT:
            continue
        allowed: Any = parameters.get(name, hints.get(name, Any))
        if parameter.default is None:
            allowed = allowed | None
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[name] = (allowed, default)
    return create_model(task.name, __config__=ConfigDict(extra="forbid", strict=True), **fields)


def _checked(offer: _Offer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    names = list(offer.model.model_fields)
    if len(args) > len(names):
        raise invalid(Fault("/args", f"{len(args)} arguments, at most {len(names)} are taken", "too_many"))
    given = dict(zip(names, args, strict=False))
    twice = [Fault(f"/kwargs/{name}", "given twice, also by its place", "twice") for name in kwargs if name in given]
    if twice:
        raise invalid(*twice)
    try:
        # As JSON, where strict still takes the text of an enum for the enum.
        model = offer.model.model_validate_json(orjson.dumps({**given, **kwargs}))
    except ValidationError as exc:
        raise invalid(*(_fault(each, names, len(args)) for each in exc.errors()[:50])) from None
    return model.model_dump(mode="json", exclude_unset=True)


def _fault(error: Any, names: list[str], positional: int) -> Fault:
    first, *rest = error["loc"] or ("",)
    place = names.index(first) if first in names else positional
    where = f"/args/{place}" if place < positional else f"/kwargs/{first}"
    return Fault("/".join([where, *map(str, rest)]), error["msg"], error["type"])
