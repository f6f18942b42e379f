"""From a file to chunks of text, each with its place in the document.

`detect` and `verify` judge an upload; `read_chunks` reads it. No parser is imported in this process.
"""

from app.extract.chunker import Chunk
from app.extract.errors import Code, DocumentError, EmptyFileError, ExtractError, UnsupportedTypeError
from app.extract.kind import HEAD_BYTES, Kind, detect, verify
from app.extract.limits import Limits
from app.extract.reader import read_chunks, stop_children
from app.extract.section import Progress

__all__ = [
    "HEAD_BYTES",
    "Chunk",
    "Code",
    "DocumentError",
    "EmptyFileError",
    "ExtractError",
    "Kind",
    "Limits",
    "Progress",
    "UnsupportedTypeError",
    "detect",
    "read_chunks",
    "stop_children",
    "verify",
]
