"""DOCX: headers, paragraphs and tables in document order, footers, notes (python-docx)."""

import re
from collections.abc import Iterator
from pathlib import Path

from docx import Document
from docx.document import Document as WordDocument
from docx.opc.exceptions import OpcError
from docx.oxml import parse_xml
from docx.oxml.ns import qn
from docx.oxml.xmlchemy import BaseOxmlElement

from app.extract.errors import Code, DocumentError
from app.extract.limits import Limits
from app.extract.outline import Outline
from app.extract.section import Progress, Section

PROGRESS_EVERY_BLOCKS = 100

_PARAGRAPH, _TABLE, _ROW, _CELL = qn("w:p"), qn("w:tbl"), qn("w:tr"), qn("w:tc")
_TEXT, _STYLE, _VALUE, _SECTION = qn("w:t"), qn("w:pStyle"), qn("w:val"), qn("w:sectPr")
_SPACES = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
# What another branch repeats, what was deleted or moved away by a tracked change, what only formats.
_SKIPPED = {
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
    qn("w:del"),
    qn("w:moveFrom"),
    qn("w:pPr"),
    qn("w:rPr"),
    qn("w:tblPr"),
    qn("w:tcPr"),
    qn("w:trPr"),
}
_NOTES = re.compile(r"/(footnotes|endnotes)$")
_HEADING = re.compile(r"heading (\d)$")


def read(path: Path, _limits: Limits) -> Iterator[Section | Progress]:
    """The document's text with the headings above it as place, and a `Progress` in blocks.

    Each header and footer comes once, before and behind the body; foot- and endnotes come last. Text boxes,
    content controls and tracked insertions are text; tracked deletions are not.

    Raises:
        DocumentError: `corrupt_file`.
    """
    try:
        document = Document(str(path))
        body = document.element.body
    except (OpcError, SyntaxError, KeyError, ValueError, AttributeError) as exc:
        raise DocumentError(Code.CORRUPT_FILE, f"not a Word document: {exc}") from exc
    yield from _margins(document, "header")
    yield from _body(document, body)
    yield from _margins(document, "footer")
    yield from _notes(document)


def _body(document: WordDocument, body: BaseOxmlElement) -> Iterator[Section | Progress]:
    blocks = list(_blocks(body))
    levels = _heading_levels(document)
    outline = Outline()
    follows = False
    for number, block in enumerate(blocks, start=1):
        if block.tag == _TABLE:
            place = outline.place or f"table at block {number}"
            for row in block.iter(_ROW):
                yield Section(_row_text(row), place, joins=follows)
                follows = True
        else:
            text = _text(block)
            level = levels.get(_style_id(block)) if text.strip() else None
            place = outline.enter(level, text) if level else outline.place or f"paragraph {number}"
            yield Section(text, place, joins=follows and not level)
            follows = True
        if number % PROGRESS_EVERY_BLOCKS == 0 or number == len(blocks):
            yield Progress(number, len(blocks))


def _blocks(parent: BaseOxmlElement) -> Iterator[BaseOxmlElement]:
    """Paragraphs and tables in order, also those inside content controls and other wrappers.

    Nesting is bounded: libxml2 refuses XML deeper than 256 elements.
    """
    for child in parent:
        if child.tag in {_PARAGRAPH, _TABLE}:
            yield child
        elif child.tag not in _SKIPPED and child.tag != _SECTION and isinstance(child.tag, str):
            yield from _blocks(child)


def _text(element: BaseOxmlElement) -> str:
    return "".join(_fragments(element))


def _fragments(element: BaseOxmlElement) -> Iterator[str]:
    for child in element:
        if child.tag == _TEXT:
            yield child.text or ""
        elif child.tag in _SPACES:
            yield _SPACES[child.tag]
        elif child.tag not in _SKIPPED:
            yield from _fragments(child)
            if child.tag == _PARAGRAPH:  # of a text box or a table cell
                yield "\n"


def _row_text(row: BaseOxmlElement) -> str:
    """The row's cells as `a | b | c`; a table inside a cell stays inside it."""
    # Rows of inner tables come by themselves, so here they are left out of the cell that holds them.
    cells = (cell for cell in row.iter(_CELL) if next(cell.iterancestors(_ROW)) is row)
    return " | ".join(filter(None, (_cell_text(cell) for cell in cells)))


def _cell_text(cell: BaseOxmlElement) -> str:
    return " ".join(" ".join(_text(block) for block in _blocks(cell) if block.tag == _PARAGRAPH).split())


def _style_id(paragraph: BaseOxmlElement) -> str:
    style = next(paragraph.iter(_STYLE), None)
    return "" if style is None else str(style.get(_VALUE))


def _heading_levels(document: WordDocument) -> dict[str, int]:
    """From style id to heading level. Word keeps the English names of its own styles in every language."""
    levels = {}
    for style in document.styles:
        name = (style.name or "").lower()
        heading = _HEADING.match(name)
        if heading:
            levels[style.style_id] = int(heading.group(1)) + 1
        elif name == "title":
            levels[style.style_id] = 1
    return levels


def _margins(document: WordDocument, what: str) -> Iterator[Section]:
    seen: set[str] = set()
    for section in document.sections:
        for prefix in ("", "first_page_", "even_page_"):
            margin = getattr(section, prefix + what)
            if margin.is_linked_to_previous:
                continue
            text = "\n".join(map(_block_text, _blocks(margin._element))).strip()
            if text and text not in seen:
                seen.add(text)
                yield Section(text, what, ends=True)


def _notes(document: WordDocument) -> Iterator[Section]:
    for relation in document.part.rels.values():
        kind = _NOTES.search(relation.reltype)
        if kind and not relation.is_external:
            try:
                notes = parse_xml(relation.target_part.blob)
            except SyntaxError as exc:
                raise DocumentError(Code.CORRUPT_FILE, f"{kind.group(1)}: {exc}") from exc
            for number, block in enumerate(_blocks(notes)):
                yield Section(_block_text(block), kind.group(1), joins=number > 0)


def _block_text(block: BaseOxmlElement) -> str:
    if block.tag == _TABLE:
        return "\n".join(_row_text(row) for row in block.iter(_ROW))
    return _text(block)
