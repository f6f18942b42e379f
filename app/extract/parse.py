"""One document, from file to chunks, in this process. The reader runs it in a child."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

from app.extract import archive
from app.extract.chunker import Chunk, cut
from app.extract.errors import Code, DocumentError
from app.extract.kind import Kind
from app.extract.limits import Limits
from app.extract.section import Progress, Section

Parser = Callable[[Path, Limits], Iterator[Section | Progress]]

# By name, not imported: a process that reads only PDFs never pays for openpyxl's 0.1 s and 15 MB.
_MODULES = {
    Kind.PDF: "app.extract.pdf",
    Kind.DOCX: "app.extract.word",
    Kind.XLSX: "app.extract.sheet",
    Kind.CSV: "app.extract.csv_rows",
    Kind.TXT: "app.extract.plain",
    Kind.MD: "app.extract.markdown",
    Kind.HTML: "app.extract.markup",
}


def parser_of(kind: Kind) -> Parser:
    """The `read` function of the kind's module, imported now if it was not yet."""
    read: Parser = importlib.import_module(_MODULES[kind]).read
    return read


def parse(path: Path, kind: Kind, limits: Limits) -> Iterator[Chunk | Progress]:
    """The document's chunks in order, with a `Progress` after every page or block of rows.

    Applies the limits on pages and characters, none on time or memory: those need a process of its own.

    Raises:
        DocumentError: the document cannot be read, or has no text.
        OSError: the file cannot be opened.
        Exception: a parser library may raise anything on a hostile file.
    """
    if kind in {Kind.DOCX, Kind.XLSX}:
        archive.check(path)
    chars = 0
    for item in cut(parser_of(kind)(path, limits)):
        if isinstance(item, Chunk):
            chars += len(item.text)
            if chars > limits.max_chars:
                raise DocumentError(Code.TOO_LARGE, f"more than {limits.max_chars:,} characters of text")
        yield item
    if not chars and kind is Kind.PDF:
        raise DocumentError(Code.NO_TEXT_LAYER, "no page has text; a scan needs character recognition first")
    if not chars:
        raise DocumentError(Code.NO_TEXT, "the document has no text")
