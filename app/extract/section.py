"""What a parser yields, before it is cut into chunks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of text that has one place in its document.

    Attributes:
        text: as the parser found it; the chunker cleans it.
        place: where a reader finds it: `page 3`, `Prices, row 12`, `Install > Linux`.
        joins: may stand in one chunk with the section before it (rows, paragraphs under one heading).
        ends: nothing that follows may join it (a page), so its chunks are complete at once.
    """

    text: str
    place: str
    joins: bool = False
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a parser has come, in pages, rows, lines or blocks; `total` is None when it is not known."""

    done: int
    total: int | None
