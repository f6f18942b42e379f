"""One file and a few short fields out of `multipart/form-data`, piece by piece, within limits.

Source: RFC 7578. Starlette's own form reader does not count a file's bytes, so it cannot refuse one half-way.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.api.encoding import check_text
from app.api.errors import Fault, ProblemError, invalid

MAX_PARTS = 20
MAX_FIELD_BYTES = 8 * 1024
MAX_HEADER_BYTES = 8 * 1024
_ENCODED_NAME = re.compile(rb";\s*filename\*=utf-8'[^']*'([^;\s]+)", re.IGNORECASE)


class FormReader:
    """Takes the body's pieces; gives the fields, and the file's bytes as they come.

    Args:
        content_type: the request's header.
        file_field: the name of the one part that may be a file.

    Raises:
        ProblemError: 415 at once when it is not multipart; from `feed` and `finish` 400 for a malformed or
            incomplete body, 422 for two files or a field that is too long.
    """

    def __init__(self, content_type: str, file_field: str) -> None:
        media_type, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if media_type != b"multipart/form-data" or not 1 <= len(boundary) <= 70:
            detail = "The body must be `multipart/form-data` with a boundary."
            raise ProblemError(415, "unsupported-media-type", detail)
        self.filename: str | None = None
        self.fields: dict[str, str] = {}
        self._file_field = file_field
        self._pending = bytearray()
        self._is_complete = False
        self._parts = 0
        self._header = [bytearray(), bytearray()]
        self._disposition = b""
        self._name = ""
        self._value: bytearray | None = None
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_header_field": lambda data, start, end: self._header_data(0, data[start:end]),
                "on_header_value": lambda data, start, end: self._header_data(1, data[start:end]),
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": lambda data, start, end: self._part_data(data[start:end]),
                "on_part_end": self._part_ends,
                "on_end": self._body_ends,
            },
        )

    def feed(self, chunk: bytes) -> bytes:
        """Take a piece of the body; the file's bytes that were in it."""
        try:
            self._parser.write(chunk)
        except FormParserError as exc:
            raise _malformed() from exc
        data = bytes(self._pending)
        self._pending.clear()
        return data

    def finish(self) -> None:
        """Make sure that the body was complete and held a file."""
        if not self._is_complete:
            raise _malformed()
        if self.filename is None:
            raise invalid(Fault(f"/{self._file_field}", "no file was sent", "missing"))

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise invalid(Fault("", f"more than {MAX_PARTS} parts", "too_many"))
        self._disposition = b""

    def _header_data(self, which: int, data: bytes) -> None:
        self._header[which] += data
        if len(self._header[which]) > MAX_HEADER_BYTES:
            raise _malformed()

    def _header_ends(self) -> None:
        name, value = (bytes(part) for part in self._header)
        self._header = [bytearray(), bytearray()]
        if name.lower() == b"content-disposition":
            self._disposition = value

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise _malformed()
        self._name = _decoded(options[b"name"], "")
        if self._name == self._file_field:
            if self.filename is not None:
                raise invalid(Fault(f"/{self._file_field}", "more than one file", "too_many"))
            self.filename = _decoded(_filename(self._disposition, options), f"/{self._file_field}")
            self._value = None
        elif self._name in self.fields:
            raise invalid(Fault(f"/{self._name}", "given twice", "too_many"))
        else:
            self._value = bytearray()

    def _part_data(self, data: bytes) -> None:
        if self._value is None:
            self._pending += data
            return
        self._value += data
        if len(self._value) > MAX_FIELD_BYTES:
            raise invalid(Fault(f"/{self._name}", f"longer than {MAX_FIELD_BYTES} bytes", "too_long"))

    def _part_ends(self) -> None:
        if self._value is not None:
            self.fields[self._name] = _decoded(bytes(self._value), f"/{self._name}")

    def _body_ends(self) -> None:
        self._is_complete = True


def _filename(disposition: bytes, options: Mapping[bytes, bytes]) -> bytes:
    # RFC 7578 forbids this form, and some clients send it all the same for names beyond ASCII.
    encoded = _ENCODED_NAME.search(disposition)
    return unquote_to_bytes(encoded[1]) if encoded else options.get(b"filename", b"")


def _decoded(data: bytes, pointer: str) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise invalid(Fault(pointer, "not UTF-8", "encoding")) from None
    check_text(text, pointer)
    return text


def _malformed() -> ProblemError:
    detail = "The body is not complete and valid `multipart/form-data`."
    return ProblemError(400, "malformed-body", detail)
