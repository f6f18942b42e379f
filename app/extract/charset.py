"""The encoding of a text file: byte order mark, then UTF-8, then the encoding of old Windows files."""

import codecs
from pathlib import Path

from app.extract.errors import Code, DocumentError
from app.extract.kind import BYTE_ORDER_MARKS

BLOCK_BYTES = 1024 * 1024

# Western Europe's, and the web's reading of every undeclared page (WHATWG Encoding Standard, 4.2).
FALLBACK = "cp1252"


def detect_encoding(path: Path) -> str:
    """The name of the codec to open the file with, `errors="replace"`; reads the file once, block by block.

    Raises:
        DocumentError: `corrupt_file`, NUL bytes in a file that is not UTF-16 or UTF-32.
        OSError: the file cannot be read.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8 = True
    with path.open("rb") as file:
        block = file.read(BLOCK_BYTES)
        marked = marked_encoding(block)
        if marked:
            return marked
        while block:
            refuse_nul(block)
            try:
                decoder.decode(block) if is_utf8 else None
            except UnicodeDecodeError:
                is_utf8 = False
            block = file.read(BLOCK_BYTES)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        is_utf8 = False
    return "utf-8" if is_utf8 else FALLBACK


def marked_encoding(start: bytes) -> str | None:
    """The codec that a byte order mark names; None without a mark."""
    return next((encoding for mark, encoding in BYTE_ORDER_MARKS if start.startswith(mark)), None)


def refuse_nul(block: bytes) -> None:
    """Return if the bytes can be text of one byte a letter.

    Raises:
        DocumentError: `corrupt_file`.
    """
    if b"\x00" in block:
        raise DocumentError(Code.CORRUPT_FILE, "the file holds binary data, not text")
