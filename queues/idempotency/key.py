"""What names the work: the idempotency key, its digest and the fingerprint.

The digest is SHA-256, shortened to 160 bits, over the algorithm's version, the task's name, its key version, the
scope, and either the bound arguments or the key that was given. It is computed once, at the producer, and travels
with the message: after JSON, a worker could no longer tell a tuple from a list. 160 bits hold a birthday collision
at about 10**24 keys.
"""

import hashlib
import inspect
import secrets
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from queues.codec import MAX_DEPTH, simplified, utc_microseconds
from queues.errors import InvalidArgumentsError, InvalidIdError, UnencodableError

ALGORITHM = "1"
DIGEST_HEX = 40
NONCE_HEX = 12


class Parameters:
    """The parameters of a function, to bind many calls to."""

    def __init__(self, signature: inspect.Signature) -> None:
        self._signature = signature
        each = signature.parameters.values()
        self._is_plain = all(p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in each)
        self._names = frozenset(signature.parameters)
        self._positional = tuple(p.name for p in each if p.kind is p.POSITIONAL_OR_KEYWORD)
        self._defaults = {p.name: p.default for p in each if p.default is not p.empty}

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by parameter name, with defaults applied: `f(1)` and `f(a=1)` give the same.

        Raises:
            InvalidArgumentsError: they do not fit the signature.
        """
        if self._is_plain and len(args) <= len(self._positional):
            # An eighth of the time that `inspect` takes, which has the last word on what does not fit.
            given = dict(zip(self._positional, args, strict=False))
            bound = {**self._defaults, **given, **kwargs}
            if bound.keys() == self._names and not (kwargs and given.keys() & kwargs.keys()):
                return bound
        try:
            found = self._signature.bind(*args, **kwargs)
        except TypeError as exc:
            raise InvalidArgumentsError(str(exc)) from exc
        found.apply_defaults()
        return dict(found.arguments)


def argument_digest(task: str, version: str, scope: str, arguments: Mapping[str, Any]) -> str:
    """The digest of a call that is named by its arguments."""
    return _digest("arguments", task, version, scope, canonical(dict(arguments)))


def explicit_digest(task: str, version: str, scope: str, key: Any) -> str:
    """The digest of a call that is named by a key of its own."""
    return _digest("key", task, version, scope, canonical(key))


def fingerprint(arguments: Mapping[str, Any]) -> str:
    """32 hex digits that tell one set of arguments from another, for work with a key of its own."""
    return hashlib.sha256(canonical(dict(arguments))).hexdigest()[:32]


def unique_digest() -> str:
    """A digest that no other work has."""
    return secrets.token_hex(DIGEST_HEX // 2)


def message_id(digest: str) -> str:
    """A new id that carries the digest, so that a record is found from an id alone."""
    return f"{digest}-{secrets.token_hex(NONCE_HEX // 2)}"


def digest_of(text: str) -> str:
    """The digest that an id carries.

    Raises:
        InvalidIdError: the text is not an id that `message_id` made.
    """
    digest, dash, nonce = text.partition("-")
    if dash and len(digest) == DIGEST_HEX and len(nonce) == NONCE_HEX and _is_hex(digest + nonce):
        return digest
    raise InvalidIdError(text)


def canonical(value: Any) -> bytes:
    """The bytes that two equal values share and two different ones do not.

    Type and length stand before each value, so `1`, `"1"`, `True` and `None` differ, and no value can imitate
    another. A tuple is as a list; sets are sorted by their bytes; an aware datetime is its UTC microseconds.

    Raises:
        UnencodableError: a type without an exact encoding, or deeper than `MAX_DEPTH`.
    """
    parts: list[bytes] = []
    _write(value, parts, 0)
    return b"".join(parts)


def _write(value: Any, parts: list[bytes], depth: int) -> None:  # noqa: C901 - one arm a type
    if depth > MAX_DEPTH:
        msg = f"a value is nested deeper than {MAX_DEPTH}, or contains itself"
        raise UnencodableError(msg)
    kind = type(value)
    if kind is str:
        _tagged(b"s", value.encode("utf-8", "surrogatepass"), parts)
    elif value is None:
        parts.append(b"n")
    elif kind is bool:
        parts.append(b"t" if value else b"f")
    elif kind is int:
        _tagged(b"i", _decimal(value), parts)
    elif kind is float:
        _tagged(b"d", repr(value + 0.0).encode(), parts)  # + 0.0 makes -0.0 equal 0.0
    elif kind in (list, tuple):
        parts.append(b"l%d:" % len(value))
        for item in value:
            _write(item, parts, depth + 1)
    elif kind is dict:
        pairs = sorted((_canonical(key, depth + 1), _canonical(item, depth + 1)) for key, item in value.items())
        parts.append(b"m%d:" % len(pairs))
        parts.extend(part for pair in pairs for part in pair)
    elif kind in (set, frozenset):
        items = sorted(_canonical(item, depth + 1) for item in value)
        parts.append(b"u%d:" % len(items))
        parts.extend(items)
    elif not _write_scalar(value, parts):
        _write(simplified(value), parts, depth + 1)


def _write_scalar(value: Any, parts: list[bytes]) -> bool:
    match value:
        case bytes() | bytearray():
            _tagged(b"b", bytes(value), parts)
        case datetime() if value.utcoffset() is None:
            _tagged(b"D", value.isoformat(timespec="microseconds").encode(), parts)
        case datetime():
            _tagged(b"T", b"%d" % utc_microseconds(value), parts)
        case date():
            _tagged(b"y", value.isoformat().encode(), parts)
        case time() if (offset := value.utcoffset()) is not None:
            moment = timedelta(hours=value.hour, minutes=value.minute, seconds=value.second) - offset
            _tagged(b"H", b"%d" % (moment // timedelta(microseconds=1) + value.microsecond), parts)
        case time():
            _tagged(b"h", value.isoformat(timespec="microseconds").encode(), parts)
        case timedelta():
            _tagged(b"e", b"%d" % (value // timedelta(microseconds=1)), parts)
        case Decimal():
            # Equal decimals: 1.0 and 1.00 are written alike, without rounding to a context's precision.
            _tagged(b"c", _exact(value).encode(), parts)
        case UUID():
            _tagged(b"g", value.bytes, parts)
        case _:
            return False
    return True


def _decimal(value: int) -> bytes:
    try:
        return b"%d" % value
    except ValueError as exc:  # Python's limit of 4,300 digits
        msg = f"an integer of {value.bit_length()} bits cannot be sent"
        raise UnencodableError(msg) from exc


def _exact(value: Decimal) -> str:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return str(value)
    text = "".join(map(str, digits)).lstrip("0")
    stripped = text.rstrip("0")
    if not stripped:
        return "0"
    return f"{'-' if sign else ''}{stripped}e{exponent + len(text) - len(stripped)}"


def _canonical(value: Any, depth: int) -> bytes:
    parts: list[bytes] = []
    _write(value, parts, depth)
    return b"".join(parts)


def _tagged(tag: bytes, data: bytes, parts: list[bytes]) -> None:
    parts.append(b"%b%d:%b" % (tag, len(data), data))


def _digest(kind: str, task: str, version: str, scope: str, data: bytes) -> str:
    # Scopes may be many, as the tenants: only their own part is hashed anew.
    digest = _hashed_head(kind, task, version).copy()
    digest.update(_canonical(scope, 0) + data)
    return digest.hexdigest()[:DIGEST_HEX]


@lru_cache(maxsize=1024)
def _hashed_head(kind: str, task: str, version: str) -> "hashlib._Hash":
    # The beginning of the canonical form of a list of four, of which the last is the scope.
    parts = [b"l4:", *(_canonical(part, 1) for part in (f"onceq {ALGORITHM} {kind}", task, version))]
    return hashlib.sha256(b"".join(parts))


def _is_hex(text: str) -> bool:
    return all(character in "0123456789abcdef" for character in text)
