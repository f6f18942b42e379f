"""From sections to chunks: about a thousand characters each, cut where a reader would pause."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.extract.section import Progress, Section

TARGET_CHARS = 1000
MAX_CHARS = 1400
# A cut is looked for from here on, so that a paragraph end early in the text does not leave a crumb.
MIN_CHARS = 600

# Longer than any cluster of marks in real writing; a hostile run of them is cut all the same.
MAX_CLUSTER_CHARS = 32

_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f]")
_ENDS = (
    re.compile(r"\n[^\S\n]*\n\s*"),
    re.compile(r"[.!?…][\"'”’»)\]]*\s+|[。！？]\s*"),  # noqa: RUF001 - the full stops of Chinese and Japanese
    re.compile(r"\s+"),
)
_JOINERS = frozenset("\u200d\ufe0e\ufe0f") | frozenset(map(chr, range(0x1F3FB, 0x1F400)))


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of a document's text.

    Attributes:
        position: 0 for the document's first chunk, then one more each; the same in every reading of the file.
        text: 1 to 1,400 characters, NFC, without NUL, control characters or lone surrogates.
        place: where its first character stands: a page, a row, a line or a heading.
    """

    position: int
    text: str
    place: str


def clean(text: str) -> str:
    """The text in NFC, lines ended by LF, without control characters, lone surrogates as U+FFFD."""
    text = _CONTROLS.sub("", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        # pypdf hands out UTF-16 halves one by one: a pair becomes its character, a lone half is marked.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return unicodedata.normalize("NFC", text)


def cut(items: Iterable[Section | Progress]) -> Iterator[Chunk | Progress]:
    """The chunks of the sections, in order, with every `Progress` handed through where it stood.

    No text is lost or repeated: the chunks' texts one after another are the cleaned text of the sections,
    but for whitespace at the cuts. Holds one section and one chunk in memory.
    """
    position = 0
    held, place = "", ""
    for item in items:
        if isinstance(item, Progress):
            if held and item.done == item.total:  # all is read, so nothing can join any more
                yield Chunk(position, held, place)
                position, held = position + 1, ""
            yield item
            continue
        text = clean(item.text).strip()
        # A short stretch (a heading, a small row) goes along with what follows, however long that is.
        is_full = len(held) >= MIN_CHARS and len(held) + len(text) > TARGET_CHARS
        if held and (is_full or not item.joins):
            yield Chunk(position, held, place)
            position += 1
            held = ""
        if not held:
            place = item.place
        held = f"{held}\n{text}" if held and text else held or text
        pieces = list(_pieces(held)) if len(held) > MAX_CHARS else [held]
        for piece in pieces if item.ends else pieces[:-1]:
            if piece:
                yield Chunk(position, piece, place)
                position += 1
                # What was held is shorter than any cut piece, so the next piece begins inside this section.
                place = item.place
        held = "" if item.ends else pieces[-1]
    if held:
        yield Chunk(position, held, place)


def _pieces(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > MAX_CHARS:
        end = _cut_at(text, start)
        piece = text[start:end].strip()
        if piece:
            yield piece
        start = end
    yield text[start:].strip()


def _cut_at(text: str, start: int) -> int:
    target = start + TARGET_CHARS
    for end in _ENDS:
        found = [match.end() for match in end.finditer(text, start + MIN_CHARS, start + MAX_CHARS)]
        if found:
            return min(found, key=lambda at: abs(at - target))
    return _before_cluster(text, target)


def _before_cluster(text: str, at: int) -> int:
    """The last place at or before `at` that parts no letter from its accents, no emoji from its parts."""
    for place in range(at, at - MAX_CLUSTER_CHARS, -1):
        follows = unicodedata.category(text[place]).startswith("M") or text[place] in _JOINERS
        if not follows and text[place - 1] != "\u200d":
            return place
    return at
