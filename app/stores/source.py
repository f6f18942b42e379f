"""What a source is: a document or a web page, how far it is, and whose chunks of it are read."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

DEFAULT_TENANT = "default"
"""The owner of what was submitted without one."""


class SourceKind(StrEnum):
    """What a source is."""

    DOCUMENT = "document"
    WEBSITE = "website"


class SourceStatus(StrEnum):
    """How far a source is.

    `removed` is a tombstone: no list shows it, and cleanup deletes it when its retention ends.
    """

    PENDING = "pending"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class SourceFailure:
    """Why a source failed: a stable code such as `pdf_encrypted`, and a sentence for its owner."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run made of a source; the switch to its chunks carries it."""

    chunks_created: int
    characters: int
    pages: int
    content_hash: str | None = None
    """SHA-256 of the text for a website, in hex; None leaves the stored one (a document's upload hash)."""
    name: str | None = None
    """The title that was found; None leaves the stored name."""
    canonical_url: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One document, or one page of a website."""

    id: str
    tenant: str
    chatbot_id: str
    kind: SourceKind
    name: str
    """The uploaded file's name, or the page's title (its URL until it was read)."""
    created_at: datetime
    updated_at: datetime
    status: SourceStatus = SourceStatus.PENDING
    url: str | None = None
    """Websites only."""
    canonical_url: str | None = None
    language: str | None = None
    path: str | None = None
    """Documents only: where the upload is kept, relative to the uploads folder."""
    content_hash: str | None = None
    """SHA-256 in hex: of the file's bytes, or of the page's text as it was last read."""
    size_bytes: int | None = None
    error: SourceFailure | None = None
    """Why the newest run failed; the chunks of the last good run are still read."""
    chunks_created: int = 0
    characters: int = 0
    pages: int = 0
    token: int = 0
    """The highest fencing token that has written this record."""
    active_token: int = 0
    """The token of the run whose chunks are read; 0 when there are none."""


@dataclass(frozen=True, slots=True)
class ActiveSource:
    """Which run's chunks of a source are read now: a cheap way to see what changed."""

    id: str
    token: int


def document_id(tenant: str, chatbot_id: str, content_hash: str, name: str) -> str:
    """The id of a document: the same file under the same name for the same chatbot has the same one."""
    return f"doc_{digest(tenant, chatbot_id, content_hash, name)}"


def website_id(tenant: str, chatbot_id: str, url: str) -> str:
    """The id of a web page: one for each URL of a chatbot."""
    return f"web_{digest(tenant, chatbot_id, url)}"


def digest(*parts: str) -> str:
    """32 hex characters of SHA-256 that name these parts in this order."""
    # Lengths in front, so that ("a", "bc") and ("ab", "c") differ.
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()[:32]
