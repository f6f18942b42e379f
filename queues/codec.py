"""Python values as JSON and back, without losing their types.

Beside JSON's own types: bytes, datetime, date, time, timedelta, Decimal, UUID, set, frozenset, and dicts whose
keys are not all strings travel as `{"__onceq__": [type, value]}`. A tuple becomes a list, an Enum its value,
a dataclass and a pydantic model their fields. Anything else is refused: `repr` is never an encoding.
"""

import base64
import dataclasses
import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from json.encoder import encode_basestring as quoted
from typing import Any
from uuid import UUID

from queues.errors import InvalidMessageError, UnencodableError

TAG = "__onceq__"
MAX_DEPTH = 64
"""Deeper values are refused; a cycle is deeper than any number."""

_ENCODERS: dict[type, tuple[str, Callable[[Any], Any]]] = {
    bytes: ("bytes", lambda v: base64.b64encode(v).decode()),
    bytearray: ("bytes", lambda v: base64.b64encode(v).decode()),
    datetime: ("datetime", datetime.isoformat),
    date: ("date", date.isoformat),
    time: ("time", time.isoformat),
    timedelta: ("timedelta", lambda v: v // timedelta(microseconds=1)),
    Decimal: ("decimal", str),
    UUID: ("uuid", str),
}
_SIMPLE: dict[type, Callable[[Any], str]] = {
    str: quoted,
    int: int.__repr__,
    bool: lambda v: "true" if v else "false",
    type(None): lambda _: "null",
}
"""How a value that is the same in JSON is written; the whole of most calls' arguments."""
# json.dumps would make an encoder for every value.
_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_DECODERS: dict[str, Callable[[Any], Any]] = {
    "bytes": lambda v: base64.b64decode(v, validate=True),
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda v: timedelta(microseconds=v),
    "decimal": Decimal,
    "uuid": UUID,
}


def plain(value: Any, depth: int = 0) -> Any:
    """The value in JSON's own types.

    Raises:
        UnencodableError: a type without an exact encoding, or deeper than `MAX_DEPTH`.
    """
    kind = type(value)
    if value is None or kind in (str, bool, int, float):
        return value
    if depth >= MAX_DEPTH:
        msg = f"a value is nested deeper than {MAX_DEPTH}, or contains itself"
        raise UnencodableError(msg)
    if kind in (list, tuple):
        return [item if type(item) in _SIMPLE else plain(item, depth + 1) for item in value]
    if kind is dict:
        return _plain_dict(value, depth)
    if kind in _ENCODERS:
        tag, encode = _ENCODERS[kind]
        return {TAG: [tag, encode(value)]}
    if kind in (set, frozenset):
        items = [plain(item, depth + 1) for item in value]
        return {TAG: [kind.__name__, sorted(_distinct(items), key=json.dumps)]}
    return plain(simplified(value), depth + 1)


def simplified(value: Any) -> Any:
    """An Enum, dataclass, pydantic model, mapping, or subclass of a simple type as that simple type.

    Raises:
        UnencodableError: the value is none of these.
    """
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if callable(dump := getattr(type(value), "model_dump", None)):
        return _dumped(value, dump)
    for simple in (bool, int, float, str, bytes, list, tuple, dict, set, frozenset, Decimal, datetime):
        if isinstance(value, simple):
            return _as(simple, value)
    if isinstance(value, Mapping):
        return dict(value)
    msg = f"a value of type {type(value).__module__}.{type(value).__qualname__} cannot be sent; send its id or fields"
    raise UnencodableError(msg)


def _dumped(value: Any, dump: Callable[[Any], Any]) -> Any:
    try:
        return dump(value)
    except Exception as exc:
        # Another attempt would end here too: it is no error of the task's work.
        msg = f"model_dump of {type(value).__module__}.{type(value).__qualname__} failed: {type(exc).__name__}: {exc}"
        raise UnencodableError(msg) from exc


def _as(simple: type, value: Any) -> Any:
    if simple is str:
        return str.__str__(value)
    if simple is datetime:
        return datetime.fromisoformat(value.isoformat())
    return simple(value)


def restored(value: Any) -> Any:
    """The value that `plain` encoded.

    Raises:
        InvalidMessageError: a tag that this version does not know, or a tagged value that is malformed.
    """
    if isinstance(value, list):
        return [item if type(item) in _SIMPLE else restored(item) for item in value]
    if not isinstance(value, dict):
        return value
    if TAG not in value:
        return {key: restored(item) for key, item in value.items()}
    try:
        tag, encoded = value[TAG]
        if tag == "dict":
            return {_hashable(restored(key)): restored(item) for key, item in encoded}
        if tag in ("set", "frozenset"):
            return {"set": set, "frozenset": frozenset}[tag](_hashable(restored(item)) for item in encoded)
        return _DECODERS[tag](encoded)
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as exc:
        msg = f"a value tagged {str(value[TAG])[:80]!r} cannot be read: {exc!r}"
        raise InvalidMessageError(msg) from exc


def dumps(value: Any) -> bytes:
    """The value as compact JSON in UTF-8.

    Raises:
        UnencodableError: as `plain`; or a string with half of a surrogate pair.
    """
    return encoded(text(value))


def text(value: Any) -> str:
    """The value as compact JSON.

    Raises:
        UnencodableError: as `plain`.
    """
    try:
        return _simple_text(value) or _compact(plain(value))
    except (ValueError, RecursionError) as exc:
        msg = f"a value cannot be written as JSON: {exc}"
        raise UnencodableError(msg) from exc


def _simple_text(value: Any) -> str:
    """What the encoder would write, some five times sooner; empty where it has to."""
    kind = type(value)
    try:
        if kind is tuple or kind is list:
            return f"[{','.join([_SIMPLE[type(item)](item) for item in value])}]"
        if kind is dict and not value:
            return "{}"
        return _SIMPLE[kind](value)
    except KeyError:
        return ""


def encoded(json_text: str) -> bytes:
    """The text in UTF-8.

    Raises:
        UnencodableError: it has half of a surrogate pair.
    """
    try:
        return json_text.encode()
    except UnicodeEncodeError as exc:
        msg = f"a value cannot be written as JSON: {exc}"
        raise UnencodableError(msg) from exc


def loads(data: bytes) -> Any:
    """The value that `dumps` wrote.

    Raises:
        InvalidMessageError: not JSON, or not of this encoding.
    """
    try:
        return restored(json.loads(data))
    except (ValueError, RecursionError) as exc:
        if isinstance(exc, InvalidMessageError):
            raise
        msg = f"not JSON: {exc}"
        raise InvalidMessageError(msg) from exc


def utc_microseconds(moment: datetime) -> int:
    """An aware moment as microseconds since the Unix epoch."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _plain_dict(value: dict[Any, Any], depth: int) -> Any:
    if not value:
        return {}
    if all(type(key) is str for key in value) and TAG not in value:
        return {key: plain(item, depth + 1) for key, item in value.items()}
    keys = _distinct([plain(key, depth + 1) for key in value])
    return {TAG: ["dict", [[key, plain(item, depth + 1)] for key, item in zip(keys, value.values(), strict=True)]]}


def _distinct(items: list[Any]) -> list[Any]:
    """The encoded members of a set, or keys of a dict; each must come back as another hashable value."""
    for item in items:
        _check_hashable(item)
    if len({json.dumps(item) for item in items}) != len(items):
        msg = "two members or keys, different here, would be the same after they were sent"
        raise UnencodableError(msg)
    return items


def _check_hashable(item: Any) -> None:
    if isinstance(item, list):
        for part in item:
            _check_hashable(part)
    elif isinstance(item, dict) and (TAG not in item or item[TAG][0] in ("dict", "set")):
        msg = "a member of a set, or a key of a dict, would not be hashable after it was sent"
        raise UnencodableError(msg)


def _hashable(value: Any) -> Any:
    return tuple(_hashable(item) for item in value) if isinstance(value, list) else value
