"""MongoDB's wire protocol: bytes to requests, replies to bytes.

OP_MSG for everything, and the old OP_QUERY for the handshake alone. Whatever is not well formed is a
`WireError`, after which nothing more on that connection can be understood.

Source: MongoDB documentation, "MongoDB Wire Protocol".
"""

import itertools
import struct
from dataclasses import dataclass
from typing import Any

import bson

from app.embedded.mongo.collection import CODEC
from app.embedded.mongo.errors import CommandError

MAX_MESSAGE_BYTES = 48_000_000
"""The longest message, header included."""

HEADER_BYTES = 16

_OP_REPLY, _OP_QUERY, _OP_COMPRESSED, _OP_MSG = 1, 2004, 2012, 2013
_CHECKSUM_PRESENT, _MORE_TO_COME, _EXHAUST_ALLOWED = 1, 2, 1 << 16
_REQUIRED_BITS = 0xFFFF
_HEADER = struct.Struct("<iiii")
_numbers = itertools.count(1)


class WireError(Exception):
    """The bytes are no message of this protocol; the connection must be closed."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first 16 bytes of a message."""

    total_bytes: int
    request_id: int
    operation: int

    @property
    def body_bytes(self) -> int:
        """How many bytes follow."""
        return self.total_bytes - HEADER_BYTES


@dataclass(frozen=True, slots=True)
class Request:
    """One command.

    Attributes:
        request_id: what the reply refers to.
        body: the command's document, with the document sequences put in.
        is_legacy: it came as OP_QUERY and wants an OP_REPLY.
        wants_reply: false when the client does not read one (`w: 0`).
    """

    request_id: int
    body: dict[str, Any]
    is_legacy: bool = False
    wants_reply: bool = True


def read_header(data: bytes) -> Header:
    """The header of the message that follows.

    Raises:
        WireError: an impossible length, or an operation that is not spoken here.
    """
    total, request_id, _, operation = _HEADER.unpack(data)
    if not HEADER_BYTES < total <= MAX_MESSAGE_BYTES:
        msg = f"a message of {total} bytes"
        raise WireError(msg)
    if operation not in (_OP_MSG, _OP_QUERY):
        name = "OP_COMPRESSED" if operation == _OP_COMPRESSED else f"operation {operation}"
        msg = f"{name} is not supported by this server"
        raise WireError(msg)
    return Header(total, request_id, operation)


def read_request(header: Header, data: bytes) -> Request:
    """The command in a message's body.

    Raises:
        WireError: the body is not well formed.
    """
    try:
        if header.operation == _OP_QUERY:
            return _read_query(header, data)
        return _read_message(header, data)
    except (bson.errors.BSONError, struct.error, ValueError, IndexError, RecursionError) as exc:
        msg = f"a message that is not well formed: {exc}"
        raise WireError(msg) from exc


def write_reply(request: Request, document: dict[str, Any]) -> bytes:
    """The bytes of the answer to a request.

    Raises:
        CommandError: the answer cannot be BSON, or is above 48 MB.
    """
    try:
        payload = bson.encode(document, codec_options=CODEC)
    except (bson.errors.BSONError, OverflowError) as exc:
        msg = f"the answer cannot be written: {exc}"
        raise CommandError(msg) from exc
    if len(payload) > MAX_MESSAGE_BYTES - 64:
        msg = f"the answer of {len(payload)} bytes is too large"
        raise CommandError(msg)
    if request.is_legacy:
        operation, head = _OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1)  # 8: the server can await data
    else:
        operation, head = _OP_MSG, b"\x00\x00\x00\x00\x00"
    total = HEADER_BYTES + len(head) + len(payload)
    number = next(_numbers) & 0x7FFF_FFFF
    return _HEADER.pack(total, number, request.request_id, operation) + head + payload


def _read_message(header: Header, data: bytes) -> Request:
    (flags,) = struct.unpack_from("<I", data)
    if flags & _REQUIRED_BITS & ~(_CHECKSUM_PRESENT | _MORE_TO_COME):
        msg = f"unknown required flags {flags:#x}"
        raise WireError(msg)
    if flags & _CHECKSUM_PRESENT:
        raise WireError("checksums are not supported by this server")
    body: dict[str, Any] | None = None
    sequences: dict[str, list[dict[str, Any]]] = {}
    position = 4
    while position < len(data):
        kind = data[position]
        end = position + 1 + struct.unpack_from("<i", data, position + 1)[0]
        if end > len(data) or end < position + 6:
            raise WireError("a section is longer than its message")
        section = data[position + 1 : end]
        if kind == 0 and body is None:
            body = bson.decode(section, codec_options=CODEC)
        elif kind == 1:
            name, documents = _read_sequence(section)
            if name in sequences:
                raise WireError("two sequences have one name")
            sequences[name] = documents
        else:
            msg = f"a section of kind {kind}"
            raise WireError(msg)
        position = end
    if not body or set(body) & set(sequences):
        raise WireError("a message without a command, or with a field that is there twice")
    return Request(header.request_id, body | sequences, wants_reply=not flags & _MORE_TO_COME)


def _read_sequence(section: bytes) -> tuple[str, list[dict[str, Any]]]:
    end = section.index(b"\x00", 4)
    return section[4:end].decode(), bson.decode_all(section[end + 1 :], codec_options=CODEC)


def _read_query(header: Header, data: bytes) -> Request:
    end = data.index(b"\x00", 4)
    namespace = data[4:end].decode()
    database, _, rest = namespace.partition(".")
    if rest != "$cmd":
        raise WireError("OP_QUERY is supported for the handshake alone")
    start = end + 9
    (size,) = struct.unpack_from("<i", data, start)
    body = bson.decode(data[start : start + size], codec_options=CODEC)
    name = next(iter(body), "")
    if name.lower() not in ("ismaster", "hello"):
        raise WireError("OP_QUERY is supported for the handshake alone")
    return Request(header.request_id, {**body, "$db": database}, is_legacy=True)
