"""Lists by keyset: a page starts after the last record of the page before, however many came since."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")

MAX_PAGE_RECORDS = 200


@dataclass(frozen=True, slots=True)
class PageKey:
    """The place of one record in a list that is sorted by `(created_at, id)`, newest first."""

    created_at: datetime
    id: str

    def encode(self) -> str:
        """The key as text, `<ISO 8601>|<id>`, to be signed into a cursor."""
        return f"{self.created_at.isoformat()}|{self.id}"

    @classmethod
    def decode(cls, text: str) -> Self:
        """The key that `encode` wrote.

        Raises:
            ValueError: the text is not such a key, or its time has no zone.
        """
        moment, separator, record_id = text.partition("|")
        created_at = datetime.fromisoformat(moment)
        if not separator or not record_id or created_at.tzinfo is None:
            msg = f"{text!r} is not a page key"
            raise ValueError(msg)
        return cls(created_at, record_id)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some records of a list, and the key to ask for those after them."""

    items: tuple[T, ...]
    next_key: PageKey | None
    """None on the last page."""


def checked_limit(limit: int) -> int:
    """The limit itself, when a page may have that many records.

    Raises:
        ValueError: not between 1 and `MAX_PAGE_RECORDS`.
    """
    if not 1 <= limit <= MAX_PAGE_RECORDS:
        msg = f"a page has 1 to {MAX_PAGE_RECORDS} records, not {limit}"
        raise ValueError(msg)
    return limit


def after_key(key: PageKey | None) -> dict[str, Any]:
    """The filter of the records that follow `key`, newest first; all of them for None."""
    if key is None:
        return {}
    return {
        "$or": [
            {"created_at": {"$lt": key.created_at}},
            {"created_at": key.created_at, "_id": {"$lt": key.id}},
        ]
    }
