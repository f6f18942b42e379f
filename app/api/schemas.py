"""What clients send and get, as FastAPI and the OpenAPI document know it."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.api.encoding import JsonBodyError, check_text
from app.api.times import Delay, Eta, Expires
from app.fetch.errors import InvalidUrlError
from app.fetch.url import normalize
from app.stores.notifications import NotificationKind
from app.stores.source import SourceKind, SourceStatus
from queues.idempotency.state import State

CHATBOT_ID = r"^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,127}$"
KEY = "3f1d0c9a6f7be2d4c5a8907162534435f6e7d8c9"
TASK_ID = f"{KEY}-5b1f03c2a9de"


def _readable(value: str) -> str:
    try:
        check_text(value)
    except JsonBodyError as exc:
        raise ValueError(exc.detail) from exc
    if not value.strip():
        msg = "must not be blank"
        raise ValueError(msg)
    return value


def _one_line(value: str) -> str:
    if not _readable(value).isprintable():
        msg = "must be one line without control characters"
        raise ValueError(msg)
    return value


def _url(value: str) -> str:
    try:
        return normalize(value)
    except InvalidUrlError as exc:
        raise ValueError(exc.message) from exc


ChatbotId = Annotated[str, Field(pattern=CHATBOT_ID, examples=["bot_456"])]
Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]
Text = Annotated[str, Field(min_length=1, max_length=20_000), AfterValidator(_readable)]
Url = Annotated[str, Field(max_length=4096, examples=["https://example.org/help"]), AfterValidator(_url)]
ReportDays = Annotated[int, Field(ge=1, le=92, strict=True, description="The last one is today, in UTC.")]


class _Request(BaseModel):
    """A body; a name that is not known is refused, because it is mostly a typing error."""

    model_config = ConfigDict(extra="forbid")


class WebsiteRequest(_Request):
    """A page to read, or a website to crawl from it."""

    url: Url
    chatbot_id: ChatbotId
    max_pages: Annotated[int, Field(ge=1, le=500, strict=True, description="Pages at most; 1 is one page.")] = 1
    max_depth: Annotated[
        int, Field(ge=0, le=10, strict=True, description="Links followed in a row; 0 is this page alone.")
    ] = 0


class ReportRequest(_Request):
    """An analytics report over the last days."""

    chatbot_id: ChatbotId
    days: ReportDays = 7


class NotificationRequest(_Request):
    """A message to one user."""

    user_id: Annotated[Line, Field(examples=["user_789"])]
    title: Annotated[Line, Field(examples=["Your documents are ready"])]
    message: Annotated[Text, Field(examples=["All 12 documents were read."])]
    kind: NotificationKind = NotificationKind.INFO
    chatbot_id: ChatbotId | None = None


class TaskRequest(_Request):
    """Arguments for a task, as in a call of its function."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"kwargs": {"chatbot_id": "bot_456", "days": 7}}]},
    )

    args: Annotated[list[Any], Field(max_length=50)] = []
    kwargs: Annotated[dict[str, Any], Field(max_length=50)] = {}
    delay: Delay | None = None
    eta: Eta | None = None
    expires: Expires | None = None
    priority: Annotated[int | None, Field(ge=0, le=9, strict=True, description="0 to 9; higher runs sooner.")] = None


class TaskLinks(BaseModel):
    """Where the task can be read, watched and cancelled."""

    self: Annotated[str, Field(examples=[f"/api/v1/tasks/{TASK_ID}"])]
    events: Annotated[str, Field(examples=[f"/api/v1/tasks/{TASK_ID}/events"])]
    cancel: Annotated[str, Field(examples=[f"/api/v1/tasks/{TASK_ID}/cancel"])]
    source: Annotated[str | None, Field(examples=["/api/v1/sources/doc_0c3e"])] = None


class TaskAccepted(BaseModel):
    """The answer to a submission."""

    id: Annotated[str, Field(description="Names the run; a repetition gets the same.", examples=[TASK_ID])]
    task: Annotated[str, Field(examples=["app.tasks.process_document"])]
    state: State
    decision: Annotated[
        str,
        Field(
            description="`executed`: accepted to run; `joined`: the same is in progress; `replayed`: done.",
            examples=["executed"],
        ),
    ]
    key: Annotated[str, Field(description="The task key: names the work, whoever asks for it.", examples=[KEY])]
    idempotency_key: Annotated[
        str | None, Field(description="The HTTP key of this request: names the request.", examples=["8e03978e"])
    ] = None
    source_id: Annotated[str | None, Field(examples=["doc_0c3e"])] = None
    links: TaskLinks


class ProgressView(BaseModel):
    """How far a running task is."""

    done: int
    total: int | None
    note: str


class ErrorView(BaseModel):
    """Why a task failed."""

    type: Annotated[str, Field(examples=["DocumentError"])]
    message: Annotated[str, Field(examples=["pdf_encrypted: the document needs a password"])]
    code: Annotated[str | None, Field(examples=["pdf_encrypted"])]


class TaskSummary(BaseModel):
    """A task in a list."""

    id: Annotated[str, Field(examples=[TASK_ID])]
    task: Annotated[str, Field(examples=["app.tasks.process_document"])]
    state: State
    decision: str
    key: str
    chatbot_id: str | None
    source_id: str | None
    arguments: dict[str, str]
    submissions: int
    superseded_by: Annotated[
        str | None, Field(description="The id of a newer run of the same work, whose state this shows.")
    ]
    created_at: datetime | None
    submitted_at: datetime | None
    links: TaskLinks


class TaskView(TaskSummary):
    """A task as it stands. `unknown`: its outcome was kept for its time and is gone."""

    progress: ProgressView | None
    attempt: Annotated[int, Field(description="1 for the first run; 0 before it.")]
    result: Any = None
    error: ErrorView | None
    retry_in: Annotated[float | None, Field(description="Seconds until the next attempt, while waiting.")]


class TaskList(BaseModel):
    """One page of tasks, newest first."""

    items: list[TaskSummary]
    next_cursor: str | None


class SourceErrorView(BaseModel):
    """Why a source could not be read."""

    code: Annotated[str, Field(examples=["no_text_layer"])]
    detail: str


class SourceView(BaseModel):
    """A document or a web page."""

    id: Annotated[str, Field(examples=["doc_0c3e"])]
    chatbot_id: str
    kind: SourceKind
    name: Annotated[str, Field(examples=["report.pdf"])]
    status: SourceStatus
    url: str | None
    canonical_url: str | None
    language: str | None
    path: str | None
    content_hash: str | None
    size_bytes: int | None
    error: SourceErrorView | None
    chunks_created: int
    characters: int
    pages: int
    created_at: datetime
    updated_at: datetime


class SourceList(BaseModel):
    """One page of sources, newest first."""

    items: list[SourceView]
    next_cursor: str | None


class ChunkView(BaseModel):
    """A piece of a source's text."""

    id: str
    position: int
    place: Annotated[str, Field(examples=["page 3"])]
    text: str


class ChunkList(BaseModel):
    """Chunks of a source in their order."""

    items: list[ChunkView]
    next_cursor: str | None


class Citation(BaseModel):
    """Where a hit comes from."""

    source_id: str
    name: Annotated[str, Field(examples=["report.pdf"])]
    url: str | None
    place: Annotated[str, Field(examples=["page 3"])]
    position: int


class SearchHit(BaseModel):
    """A piece of text that matches."""

    score: Annotated[float, Field(description="BM25; comparable within one answer only.")]
    text: str
    citation: Citation


class SearchResult(BaseModel):
    """The best hits, best first."""

    query: str
    hits: list[SearchHit]
    chunks_searched: int


class ProblemFault(BaseModel):
    """One thing that is wrong with a request."""

    pointer: Annotated[str, Field(examples=["/days"])]
    detail: str
    code: str


class ProblemBody(BaseModel):
    """Every error, as RFC 9457 says."""

    type: Annotated[str, Field(examples=["urn:onceq:problem:invalid-request"])]
    title: Annotated[str, Field(examples=["Unprocessable Entity"])]
    status: Annotated[int, Field(examples=[422])]
    detail: Annotated[str, Field(examples=["The request holds values that cannot be used."])]
    instance: Annotated[str, Field(examples=["urn:uuid:9b6a1c9e-3c0a-4e2e-9b53-0d6e0f6f2c11"])]
    code: Annotated[str, Field(examples=["invalid-request"])]
    errors: list[ProblemFault] | None = None
    retry_after_s: int | None = None
