"""The encoding of keys once more, written from its description and not from `queues/idempotency/key.py`.

A value is a letter, the length of its text in bytes, a colon and the text; a container is a letter, the number of its
members, a colon and its members, one after another. True, False and None are a letter alone.

    s text in UTF-8; b bytes; i integer, decimal; d float, as repr writes it, and -0.0 as 0.0; g the 16 bytes of a UUID
    c decimal: sign, digits without zeros at either end, e, exponent; any zero is 0
    T instant: microseconds since 1970 in UTC; D naive datetime, y date, h time: ISO 8601 with microseconds
    H time with an offset: microseconds since midnight in UTC; e duration: microseconds
    l list or tuple; u set, members in the order of their bytes; m dict, keys and values in the order of their bytes
"""

import hashlib
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

MICROSECOND = timedelta(microseconds=1)


def encoded(value):  # noqa: C901 - one arm a type
    """The bytes of a value of one of the simple types."""
    match value:
        case None | True | False:
            return {None: b"n", True: b"t", False: b"f"}[value]
        case str():
            return text(b"s", value.encode("utf-8", "surrogatepass"))
        case bytes() | bytearray():
            return text(b"b", bytes(value))
        case int():
            return text(b"i", str(value).encode())
        case float():
            return text(b"d", b"0.0" if value == 0 else repr(value).encode())
        case Decimal():
            return text(b"c", decimal(value).encode())
        case UUID():
            return text(b"g", value.bytes)
        case datetime() | date() | time() | timedelta():
            return when(value)
        case list() | tuple():
            return members(b"l", [encoded(item) for item in value])
        case set() | frozenset():
            return members(b"u", sorted(encoded(item) for item in value))
        case dict():
            return members(
                b"m", [key + item for key, item in sorted((encoded(k), encoded(v)) for k, v in value.items())]
            )
    raise TypeError(value)


def when(value):
    match value:
        case timedelta():
            return text(b"e", str(value // MICROSECOND).encode())
        case datetime() if value.utcoffset() is not None:
            return text(b"T", str((value - datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND).encode())
        case datetime():
            return text(b"D", value.strftime("%Y-%m-%dT%H:%M:%S.%f").rjust(26, "0").encode())
        case time() if value.utcoffset() is not None:
            since = datetime.combine(date(2000, 1, 2), value.replace(tzinfo=None)) - datetime(2000, 1, 2)  # noqa: DTZ001
            return text(b"H", str((since - value.utcoffset()) // MICROSECOND).encode())
        case time():
            return text(b"h", value.strftime("%H:%M:%S.%f").encode())
    return text(b"y", value.isoformat().encode())


def decimal(value):
    if not value.is_finite():
        return str(value)
    if value == 0:
        return "0"
    sign, digits, exponent = value.as_tuple()
    number = int("".join(map(str, digits)))
    while number % 10 == 0:
        number, exponent = number // 10, exponent + 1
    return f"{'-' if sign else ''}{number}e{exponent}"


def text(letter, data):
    return letter + str(len(data)).encode() + b":" + data


def members(letter, parts):
    return letter + str(len(parts)).encode() + b":" + b"".join(parts)


def digest(kind, task, version, scope, value):
    """The first 40 hex digits of SHA-256 over what names the task, and the arguments or the key."""
    head = encoded([f"onceq 1 {kind}", task, version, scope])
    return hashlib.sha256(head + encoded(value)).hexdigest()[:40]
