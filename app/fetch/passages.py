"""The text of a page's own parts, cut at its headings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.fetch.boilerplate import Content
from app.fetch.tree import Element, Step, walk

_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_PARAGRAPHS = frozenset(
    [
        "p",
        "div",
        "section",
        "article",
        "main",
        "body",
        "table",
        "ul",
        "ol",
        "dl",
        "pre",
        "blockquote",
        "figure",
        "figcaption",
        "form",
        "fieldset",
        "details",
        "summary",
        "address",
        "center",
        "hr",
        "header",
    ]
)
_LINES = frozenset({"li", "dt", "dd", "caption", "option", "legend"})
_CELLS = frozenset({"td", "th"})

# Marks that are in no page's text: control characters became spaces when it was parsed.
_NEXT_CELL = "\x1f"
_KEPT_SPACE = "\x1e"
_KEPT_LINE = "\x1d"
_PARAGRAPH = "\x1c"
_FORCED_LINE = "\x1b"
_ROW = "\x1a"
_LINE = "\n"
_BREAKS = re.compile(r"[ \n\x1a-\x1c]+")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the text below it, up to the next heading.

    Attributes:
        heading: in one line; "" before the first heading.
        text: paragraphs with an empty line between them, table cells with " | "; "" where a heading follows
            the heading.
    """

    heading: str
    text: str


def read_sections(content: Content) -> tuple[Section, ...]:
    """The text of a page's content under its headings, in document order, without empty sections."""
    return tuple(_sections(content))


@dataclass(slots=True)
class _Draft:
    heading: str = ""
    pieces: list[str] = field(default_factory=list)

    def text(self) -> str:
        """What was gathered, its runs of breaks and spaces folded into one each, which takes linear time."""
        text = _BREAKS.sub(_fold, "".join(self.pieces))
        # A paragraph that ends where its cell ends does not end the row.
        text = re.sub(r"[ \n]{0,2}\x1f[ \n]{0,2}", " | ", text).replace(_ROW, "")
        text = re.sub(r" *(\n| ) *", r"\1", text).strip(" \n")
        text = text.replace(_KEPT_SPACE, " ").replace(_KEPT_LINE, "\n").rstrip()
        return re.sub(r"\A(?: *\n)+", "", text)


def _sections(content: Content) -> Iterator[Section]:
    draft = _Draft()
    heading: _Draft | None = None
    for part in content.parts:
        pre_depth = 0
        for step, element in walk(part, content.skipped.__contains__):
            tag = element.tag
            target = heading or draft
            if step is Step.START:
                if tag in _HEADINGS and heading is None:
                    if section := _finished(draft):
                        yield section
                    target = heading = _Draft()
                pre_depth += tag == "pre"
                target.pieces.append(_break_before(element))
                target.pieces.append(_spell(element.text, is_kept=pre_depth > 0))
                continue
            if step is Step.END:
                pre_depth -= tag == "pre"
                target.pieces.append(_break_around(tag))
                if tag in _HEADINGS and heading is not None:
                    draft = _Draft(heading=" ".join(heading.text().split()))
                    heading = None
            if element is not part:
                (heading or draft).pieces.append(_spell(element.tail, is_kept=pre_depth > 0))
        (heading or draft).pieces.append(_PARAGRAPH)
    if section := _finished(draft):
        yield section


def _finished(draft: _Draft) -> Section | None:
    section = Section(draft.heading, draft.text())
    return section if section.heading or section.text else None


def _fold(run: re.Match[str]) -> str:
    breaks = run[0]
    folded = "\n" if breaks.strip(" ") else " "
    if _PARAGRAPH in breaks or breaks.count(_FORCED_LINE) > 1:
        folded = "\n\n"
    return f"{_ROW}{folded}{_ROW}" if _ROW in breaks else folded


def _break_before(element: Element) -> str:
    if element.tag in _CELLS:
        return "" if element.getprevious() is None else _NEXT_CELL
    return _FORCED_LINE if element.tag == "br" else _break_around(element.tag)


def _break_around(tag: str) -> str:
    if tag in _PARAGRAPHS:
        return _PARAGRAPH
    if tag == "tr":
        return _ROW
    return _LINE if tag in _LINES else ""


def _spell(text: str | None, *, is_kept: bool) -> str:
    """Text with its white space folded into one space, or, inside `<pre>`, marked to be kept."""
    if not text:
        return ""
    if is_kept:
        return text.replace("\r", "").expandtabs(4).replace(" ", _KEPT_SPACE).replace("\n", _KEPT_LINE)
    return re.sub(r"\s+", " ", text)
