"""JSON out and JSON in: one encoder for every answer, one guarded reader for every body."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.responses import Response

MAX_DEPTH = 32
MAX_INTEGER = 2**63 - 1


class JsonBodyError(ValueError):
    """A body that is not JSON, or JSON that no argument may be; `pointer` says where, "" for the whole."""

    def __init__(self, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer


def to_json(value: object) -> bytes:
    """`value` as compact UTF-8 JSON; UTC is written `Z`, anything unknown as its text.

    A task's result is the task's own business: it must not turn reading its status into a 500.
    """
    options = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_NON_STR_KEYS
    try:
        return orjson.dumps(value, default=str, option=options)
    except orjson.JSONEncodeError:
        # Integers beyond 64 bits and lone surrogates: the standard library can write both.
        return json.dumps(value, default=_plain).encode("ascii")


def json_response(body: object, status_code: int = 200) -> Response:
    """`body` as an answer, written by `to_json`."""
    return Response(to_json(body), status_code, media_type="application/json")


def from_json(body: bytes) -> Any:
    """The value in `body`, which is safe to keep, to hash and to hand to a task.

    Raises:
        JsonBodyError: not JSON (RFC 8259, so no NaN), nested deeper than 32, a NUL or half a surrogate pair
            in a text, an integer beyond 64 bits, or one name twice in an object.
    """
    try:
        value = json.loads(body, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except RecursionError as exc:
        raise JsonBodyError(f"nested deeper than {MAX_DEPTH}") from exc
    except JsonBodyError:
        raise
    except UnicodeDecodeError as exc:
        raise JsonBodyError("not UTF-8") from exc
    except ValueError as exc:
        # Also the interpreter's limit on the digits of an integer.
        raise JsonBodyError(f"not JSON: {exc}"[:200]) from exc
    _check(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise JsonBodyError("an object has the same name twice")
    return value


def _refuse_constant(name: str) -> Any:
    raise JsonBodyError(f"{name} is not JSON")


def _check(root: Any) -> None:
    """Walk without recursion: the depth is what is being checked."""
    waiting: list[tuple[Any, str, int]] = [(root, "", 1)]
    while waiting:
        value, pointer, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise JsonBodyError(f"nested deeper than {MAX_DEPTH}", pointer)
        if isinstance(value, str):
            check_text(value, pointer)
        elif isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise JsonBodyError("an integer beyond 64 bits", pointer)
        elif isinstance(value, dict):
            for name, item in value.items():
                check_text(name, pointer)
                waiting.append((item, f"{pointer}/{_escape(name)}", depth + 1))
        elif isinstance(value, list):
            waiting.extend((item, f"{pointer}/{place}", depth + 1) for place, item in enumerate(value))


def check_text(text: str, pointer: str = "") -> None:
    """Refuse a text that a database, a file name or a hash could not take.

    Raises:
        JsonBodyError: a NUL, or half a surrogate pair.
    """
    if "\x00" in text:
        raise JsonBodyError("a NUL character", pointer)
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as exc:
            raise JsonBodyError("half a surrogate pair", pointer) from exc


def _escape(name: str) -> str:
    """`name` as a part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")[:100]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
