"""Which kind of document a file is: its name and its content must say the same."""

import codecs
import re
from enum import StrEnum
from pathlib import Path, PurePath

from app.extract import archive
from app.extract.errors import DocumentError, EmptyFileError, UnsupportedTypeError

HEAD_BYTES = 8192
"""How much of a file's beginning `detect` needs; less only when the file is shorter."""

# Where Acrobat and pypdf still accept the header behind other bytes (PDF 1.7 reference, appendix H.3.4.1).
PDF_HEADER_WITHIN_BYTES = 1024

ZIP_MAGIC = b"PK\x03\x04"
MAX_CONTENT_TYPES_BYTES = 1024 * 1024


class Kind(StrEnum):
    """A kind of document that can be read; the value is what is stored and shown."""

    PDF = "pdf"
    DOCX = "docx"
    XLSX = "xlsx"
    CSV = "csv"
    TXT = "txt"
    MD = "md"
    HTML = "html"


_EXTENSIONS = {
    ".pdf": Kind.PDF,
    ".docx": Kind.DOCX,
    ".xlsx": Kind.XLSX,
    ".csv": Kind.CSV,
    ".tsv": Kind.CSV,
    ".txt": Kind.TXT,
    ".text": Kind.TXT,
    ".md": Kind.MD,
    ".markdown": Kind.MD,
    ".html": Kind.HTML,
    ".htm": Kind.HTML,
    ".xhtml": Kind.HTML,
}

# UTF-32 first: its little-endian mark begins with UTF-16's.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_BINARY_MAGIC = (
    (b"%PDF-", "a PDF"),
    (ZIP_MAGIC, "a zip archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old or password-protected Office file"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"GIF8", "a GIF image"),
    (b"\x7fELF", "a program"),
    (b"{\\rtf", "an RTF document"),
)

_TAG = re.compile(rb"<[A-Za-z/!?]")

# OOXML parts 1 and 4 name the main part by its content type, wherever it lies in the package.
_MAIN_PARTS = {
    Kind.DOCX: b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
    Kind.XLSX: b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
}


def detect(filename: str, head: bytes) -> Kind:
    """The kind that both the name's extension and the first bytes say.

    Args:
        filename: as uploaded; only its last extension counts, in any case.
        head: the first 8,192 bytes, or the whole file if it is shorter.

    Raises:
        EmptyFileError: no bytes, or a byte order mark alone.
        UnsupportedTypeError: unknown extension, or content of another kind; text with NUL bytes.
    """
    kind = _EXTENSIONS.get(PurePath(filename).suffix.lower())
    if kind is None:
        known = ", ".join(sorted(_EXTENSIONS))
        raise UnsupportedTypeError(filename, f"only {known} can be read")
    if not head or any(head == mark for mark, _ in BYTE_ORDER_MARKS):
        raise EmptyFileError(filename)
    if kind is Kind.PDF:
        agrees = b"%PDF-" in head[:PDF_HEADER_WITHIN_BYTES]
    elif kind in _MAIN_PARTS:
        agrees = head.startswith(ZIP_MAGIC)
    else:
        agrees = _is_text(head) and (kind is not Kind.HTML or _has_markup(head))
    if not agrees:
        raise UnsupportedTypeError(filename, f"named {kind}, but the content is {_describe(head)}")
    return kind


def verify(path: Path, kind: Kind, filename: str | None = None) -> None:
    """Return if a zip container holds what its extension says; other kinds are not looked at.

    Reads the archive's directory and one small member, nothing else. An archive that cannot be read, or
    whose directory is a bomb, passes: reading it gives the exact reason (`corrupt_file`, `zip_bomb`).

    Args:
        path: the whole file.
        kind: what `detect` said.
        filename: the name for the message; the path's own if None.

    Raises:
        UnsupportedTypeError: a readable archive that is another kind of document or none.
        OSError: the file cannot be opened.
    """
    main_part = _MAIN_PARTS.get(kind)
    if main_part is None:
        return
    try:
        types = archive.read_member(path, "[Content_Types].xml", MAX_CONTENT_TYPES_BYTES)
    except DocumentError:
        return
    # The part may be in UTF-16, where every other byte of these names is NUL.
    if main_part not in types.replace(b"\x00", b""):
        raise UnsupportedTypeError(filename or path.name, f"a zip archive, but not a {kind} document")


def _is_text(head: bytes) -> bool:
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return _decodes(head, encoding)
    return b"\x00" not in head and not any(head.startswith(magic) for magic, _ in _BINARY_MAGIC)


def _decodes(head: bytes, encoding: str) -> bool:
    try:
        # Not final: the head may end in the middle of a character.
        codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _has_markup(head: bytes) -> bool:
    return _TAG.search(head.replace(b"\x00", b"")) is not None  # in UTF-16 every other byte is NUL


def _describe(head: bytes) -> str:
    for magic, name in _BINARY_MAGIC:
        if head.startswith(magic):
            return name
    return "plain text" if _is_text(head) else "binary data"
