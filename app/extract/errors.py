"""What can be wrong with a document.

ExtractError
├─ UnsupportedTypeError(filename, reason)   final; refuse the upload      (HTTP 415)
├─ EmptyFileError(filename)                 final; refuse the upload      (HTTP 422)
└─ DocumentError(code, detail)              final; the source has failed, a retry would fail again

An `OSError` (file gone, disk unreadable, no process to be had) is none of these: it may be retried.
"""

from enum import StrEnum

MAX_DETAIL_CHARS = 300


class Code(StrEnum):
    """Why a document failed; each value is stored with the source and shown to its owner."""

    PDF_ENCRYPTED = "pdf_encrypted"
    NO_TEXT_LAYER = "no_text_layer"
    NO_TEXT = "no_text"
    CORRUPT_FILE = "corrupt_file"
    ZIP_BOMB = "zip_bomb"
    TOO_MANY_PAGES = "too_many_pages"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    TOO_MUCH_MEMORY = "too_much_memory"
    PARSER_DIED = "parser_died"


class ExtractError(Exception):
    """Any reason for which a file gives no chunks and never will."""

    code: str = "extract_error"

    def as_dict(self) -> dict[str, str]:
        """What JSON may carry of it: `type`, `code` and `detail`."""
        return {"type": type(self).__name__, "code": str(self.code), "detail": str(self)}


class UnsupportedTypeError(ExtractError):
    """The file is of no kind that can be read, or its content is not what its name says."""

    code = "unsupported_type"

    def __init__(self, filename: str, reason: str) -> None:
        super().__init__(filename, reason)
        self.filename = filename
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.filename}: {self.reason}"


class EmptyFileError(ExtractError):
    """The file has no bytes, or nothing but a byte order mark."""

    code = "empty_file"

    def __init__(self, filename: str) -> None:
        super().__init__(filename)
        self.filename = filename

    def __str__(self) -> str:
        return f"{self.filename} is empty"


class DocumentError(ExtractError):
    """The document was accepted but cannot be read; `code` says why, `detail` says where."""

    def __init__(self, code: Code, detail: str) -> None:
        detail = detail[:MAX_DETAIL_CHARS]
        super().__init__(code, detail)
        self.code = Code(code)
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"
