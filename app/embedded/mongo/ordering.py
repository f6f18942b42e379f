"""The one order of all BSON values, as bytes: `a < b` in MongoDB is `order_key(a) < order_key(b)` here.

Filters, sorts, groups, unique indexes and the index tables all compare these bytes, so they cannot
disagree about what is equal. Numbers of different types that are equal have equal keys (1, 1.0,
Int64(1), Decimal128("1.00")); a bool is no number; documents compare with their fields in order.

Source of the type order: MongoDB manual, "Comparison/Sort Order".
"""

import math
import struct
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any
from uuid import UUID

from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

from app.embedded.mongo.errors import BadValueError, NestingTooDeepError

MAX_DEPTH = 180
"""Nesting that a filter or a document may have; BSON of MongoDB ends at 180 with its wrapping."""

UNDEFINED_KEY = b"\x02"
"""What an index stores for an empty array: below null, equal to nothing."""

_NULL, _NUMBER, _STRING, _OBJECT, _ARRAY, _BINARY, _OBJECT_ID = 0x05, 0x0A, 0x14, 0x1E, 0x28, 0x32, 0x3C
_BOOL, _DATE, _TIMESTAMP, _REGEX, _CODE, _CODE_SCOPE = 0x46, 0x50, 0x55, 0x5A, 0x5F, 0x60
_SIGN_BIT = 1 << 63
_EXACT_INT = 1 << 53
_MAX_RESTS = 3
_DECIMAL = Context(prec=2200)

NULL_KEY = bytes([_NULL])
NAN_KEY = bytes([_NUMBER]) + b"\x00" * 8 + b"\x80"


def order_key(value: Any) -> bytes:
    """The bytes that order and identify `value` among all BSON values.

    Raises:
        BadValueError: the value is of a type that cannot be ordered here, or a Decimal128 outside of
            what a double can hold (1e308).
        NestingTooDeepError: nested above 180 levels.
    """
    out = bytearray()
    try:
        _append(out, value, 0)
    except RecursionError:
        raise NestingTooDeepError("nested too deeply") from None
    return bytes(out)


def type_of(key: bytes) -> int:
    """The number of the value's type bracket: only values of one bracket compare by `$lt` and its like."""
    return key[0]


def next_type(key: bytes) -> bytes:
    """The smallest key above every value of the same type bracket."""
    return bytes([key[0] + 1])


def _append(out: bytearray, value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        msg = f"nested above {MAX_DEPTH} levels"
        raise NestingTooDeepError(msg)
    writer = _WRITERS.get(type(value))
    if writer is not None:
        writer(out, value)
    elif isinstance(value, dict):
        _append_document(out, value, depth)
    elif isinstance(value, list | tuple):
        out.append(_ARRAY)
        for element in value:
            _append(out, element, depth + 1)
        out.append(0)
    elif isinstance(value, DBRef):
        _append_document(out, value.as_doc(), depth)
    else:
        msg = f"a value of type {type(value).__name__} cannot be compared"
        raise BadValueError(msg)


def _append_document(out: bytearray, document: dict[str, Any], depth: int) -> None:
    out.append(_OBJECT)
    for name, value in document.items():
        inner = bytearray()
        _append(inner, value, depth + 1)
        # MongoDB compares a field's type before its name.
        out.append(inner[0])
        _append_text(out, name)
        out += inner
    out.append(0)


def _append_text(out: bytearray, text: str) -> None:
    out += text.encode().replace(b"\x00", b"\x00\xff") + b"\x00\x01"


def _append_float(out: bytearray, number: float) -> None:
    (bits,) = struct.unpack(">Q", struct.pack(">d", number + 0.0))
    out += ((bits ^ 0xFFFF_FFFF_FFFF_FFFF) if bits & _SIGN_BIT else bits | _SIGN_BIT).to_bytes(8, "big")


def _write_float(out: bytearray, number: float) -> None:
    if math.isnan(number):
        out += NAN_KEY
        return
    out.append(_NUMBER)
    _append_float(out, number)
    out.append(0x80)


def _write_int(out: bytearray, number: int) -> None:
    if -_EXACT_INT <= number <= _EXACT_INT:
        _write_float(out, float(number))
        return
    out.append(_NUMBER)
    nearest = float(number)
    _append_float(out, nearest)
    _append_rest(out, Decimal(number - int(nearest)))


def _append_rest(out: bytearray, rest: Decimal, level: int = 0) -> None:
    """What the double before it leaves of an exact number, as further doubles.

    Most decimals have no end in binary, so it stops after three more: 4 x 53 bits tell any two numbers of
    34 digits apart.
    """
    if not rest or level == _MAX_RESTS:
        out.append(0x80)
        return
    nearest = float(rest)
    if nearest == 0.0:
        raise BadValueError("a Decimal128 this small cannot be compared")
    out.append(0x81 if rest > 0 else 0x7F)
    _append_float(out, nearest)
    _append_rest(out, _DECIMAL.subtract(rest, Decimal(nearest)), level + 1)


def _write_decimal(out: bytearray, value: Decimal128) -> None:
    number = value.to_decimal()
    if number.is_nan() or number.is_infinite():
        _write_float(out, float(number))
        return
    nearest = float(number)
    if math.isinf(nearest):
        raise BadValueError("a Decimal128 above 1e308 cannot be compared")
    out.append(_NUMBER)
    _append_float(out, nearest)
    _append_rest(out, _DECIMAL.subtract(number, Decimal(nearest)))


def _write_text(out: bytearray, value: str) -> None:
    out.append(_STRING)
    _append_text(out, value)


def _write_binary(out: bytearray, value: bytes) -> None:
    out.append(_BINARY)
    out += len(value).to_bytes(4, "big")
    out.append(value.subtype if isinstance(value, Binary) else 0)
    out += value


def _write_date(out: bytearray, value: DatetimeMS) -> None:
    out.append(_DATE)
    out += (int(value) + _SIGN_BIT).to_bytes(8, "big")


def _write_timestamp(out: bytearray, value: Timestamp) -> None:
    out.append(_TIMESTAMP)
    out += struct.pack(">II", value.time, value.inc)


def _write_regex(out: bytearray, value: Regex[Any]) -> None:
    out.append(_REGEX)
    pattern = value.pattern if isinstance(value.pattern, str) else value.pattern.decode()
    _append_text(out, pattern)
    out += int(value.flags).to_bytes(4, "big")


def _write_code(out: bytearray, value: Code) -> None:
    out.append(_CODE if value.scope is None else _CODE_SCOPE)
    _append_text(out, str(value))
    if value.scope is not None:
        _append(out, dict(value.scope), 1)


def _write_object_id(out: bytearray, value: ObjectId) -> None:
    out.append(_OBJECT_ID)
    out += value.binary


_WRITERS: dict[type, Callable[[bytearray, Any], None]] = {
    type(None): lambda out, _: out.append(_NULL),
    bool: lambda out, value: out.extend((_BOOL, int(value))),
    int: _write_int,
    Int64: _write_int,
    float: _write_float,
    Decimal128: _write_decimal,
    str: _write_text,
    bytes: _write_binary,
    Binary: _write_binary,
    UUID: lambda out, value: _write_binary(out, Binary.from_uuid(value)),
    ObjectId: _write_object_id,
    DatetimeMS: _write_date,
    Timestamp: _write_timestamp,
    Regex: _write_regex,
    Code: _write_code,
    MinKey: lambda out, _: out.append(0x01),
    MaxKey: lambda out, _: out.append(0x7E),
}
