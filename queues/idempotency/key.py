"""What names the work: the idempotency key, its digest and the fingerprint.

The digest is SHA-256, shortened to 160 bits, over the algorithm's version, the task's name, its key version, the
scope, and either the bound arguments or the key that was given. It is computed once, at the producer, and travels
with the message: after JSON, a worker could no longer tell a tuple from a list. 160 bits hold a birthday collision
at about 10**24 keys.
"""

import hashlib
import inspect
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from queues.codec import MAX_DEPTH, simplified, utc_microseconds
from queues.errors import InvalidArgumentsError, InvalidIdError, InvalidOptionError, UnencodableError

ALGORITHM = "1"
DIGEST_HEX = 40
NONCE_HEX = 12
NONCES_AT_ONCE = 64
_nonces: dict[int, list[str]] = {}
"""Of this process, by its id: a child takes none of its parent's, also of a server in C that runs no hooks at a fork.

Made together: to ask the system for chance at a time costs as much as half a digest.
"""


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
            if len(given) == len(self._names) and not kwargs:
                return given
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
    if scope:
        return _digest("arguments", task, version, scope, _by_name(arguments))
    head, texts = _hashed_names(task, version, tuple(arguments))
    digest = head.copy()
    digest.update(b"".join([text + _canonical(arguments[name], 1) for name, text in texts]))
    return digest.hexdigest()[:DIGEST_HEX]


def explicit_digest(task: str, version: str, scope: str, key: Any) -> str:
    """The digest of a call that is named by a key of its own."""
    return _digest("key", task, version, scope, canonical(key))


def fingerprint(arguments: Mapping[str, Any]) -> str:
    """32 hex digits that tell one set of arguments from another, for work with a key of its own."""
    return hashlib.sha256(_by_name(arguments)).hexdigest()[:32]


def unique_digest() -> str:
    """A digest that no other work has."""
    return secrets.token_hex(DIGEST_HEX // 2)


def message_id(digest: str) -> str:
    """A new id that carries the digest, so that a record is found from an id alone."""
    return f"{digest}-{nonce()}"


def nonce() -> str:
    """What tells an id from the others of the same digest."""
    pid = os.getpid()
    while True:
        try:
            return _nonces[pid].pop()
        except LookupError:
            text = secrets.token_hex(NONCES_AT_ONCE * NONCE_HEX // 2)
            _nonces.clear()
            _nonces[pid] = [text[at : at + NONCE_HEX] for at in range(0, len(text), NONCE_HEX)]


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


def _by_name(arguments: Mapping[str, Any]) -> bytes:
    """`canonical` of the arguments of a call. Their names, a function's parameters, are written once."""
    parts = [b"m%d:" % len(arguments)]
    for name, text in _texts_of(tuple(arguments)):
        parts += (text, _canonical(arguments[name], 1))
    return b"".join(parts)


@lru_cache(maxsize=1024)
def _texts_of(names: tuple[str, ...]) -> list[tuple[str, bytes]]:
    texts = [(name, _canonical(name, 1)) for name in names]
    return sorted(texts, key=lambda each: each[1])


def _write(value: Any, parts: list[bytes], depth: int) -> None:
    if depth > MAX_DEPTH:
        msg = f"a value is nested deeper than {MAX_DEPTH}, or contains itself"
        raise UnencodableError(msg)
    kind = type(value)
    if kind in _SIMPLE:
        parts.append(_SIMPLE[kind](value))
    elif kind is float:
        _tagged(b"d", repr(value + 0.0).encode(), parts)  # + 0.0 makes -0.0 equal 0.0
    elif kind in (list, tuple):
        parts.append(b"l%d:" % len(value))
        for item in value:
            _write(item, parts, depth + 1)
    elif kind is dict:
        pairs = [(_canonical(key, depth + 1), _canonical(item, depth + 1)) for key, item in value.items()]
        parts.append(b"m%d:" % len(pairs))
        for pair in sorted(pairs):
            parts += pair
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


def _text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"s%d:%b" % (len(data), data)


def _integer(value: int) -> bytes:
    try:
        data = b"%d" % value
        return b"i%d:%b" % (len(data), data)
    except ValueError as exc:  # Python's limit of 4,300 digits
        msg = f"an integer of {value.bit_length()} bits cannot be sent"
        raise UnencodableError(msg) from exc


_SIMPLE: dict[type, Callable[[Any], bytes]] = {
    str: _text,
    int: _integer,
    bool: lambda value: b"t" if value else b"f",
    type(None): lambda _: b"n",
}
"""What is written without looking into it; the whole of most calls' arguments."""


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
    simple = _SIMPLE.get(type(value))
    if simple is not None and depth <= MAX_DEPTH:
        return simple(value)
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


@lru_cache(maxsize=1024)
def _hashed_names(task: str, version: str, names: tuple[str, ...]) -> tuple["hashlib._Hash", list[tuple[str, bytes]]]:
    """As `_hashed_head`, with what stands before the first argument's name where there is no scope, as with most."""
    head = _hashed_head("arguments", task, version).copy()
    head.update(_canonical("", 0) + b"m%d:" % len(names))
    return head, _texts_of(names)


def _is_hex(text: str) -> bool:
    return all(character in "0123456789abcdef" for character in text)


def check_names(task: str, names: Sequence[str], signature: inspect.Signature, option: str = "key") -> None:
    """Return if an option names parameters of the task.

    Raises:
        InvalidOptionError: a name that is none, or no names at all.
    """
    has = ", ".join(signature.parameters)
    if isinstance(names, str) or not names:
        msg = f"{option}={names!r} of {task}: a tuple of its parameters' names, of {has}"
        raise InvalidOptionError(msg)
    if unknown := [name for name in names if name not in signature.parameters]:
        msg = f"{option} of {task}: {', '.join(map(repr, unknown))} is no parameter of it; it has {has}"
        raise InvalidOptionError(msg)
