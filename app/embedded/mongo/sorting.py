"""Sorting documents as MongoDB does: by the smallest element of an array, or the largest when descending."""

from collections.abc import Callable, Sequence
from typing import Any

from app.embedded.mongo import paths
from app.embedded.mongo.errors import BadValueError, CommandNotSupportedError
from app.embedded.mongo.ordering import NULL_KEY, UNDEFINED_KEY, order_key
from app.embedded.mongo.paths import MISSING, Document

_INVERTED = bytes(255 - byte for byte in range(256))

MAX_SORT_FIELDS = 32
"""MongoDB's own limit."""


def descending(key: bytes) -> bytes:
    """A key that sorts the other way round; keys end by themselves, so none is a prefix of another."""
    return key.translate(_INVERTED)


def directions(spec: Any) -> list[tuple[str, bool]]:
    """The fields of a sort, each with whether it is descending.

    Raises:
        BadValueError: not a document of 1 and -1, or above 32 fields.
        CommandNotSupportedError: `$meta` or another expression.
    """
    if not isinstance(spec, dict):
        raise BadValueError("a sort must be a document")
    if len(spec) > MAX_SORT_FIELDS:
        raise BadValueError("too many fields to sort by")
    found = []
    for path, direction in spec.items():
        if isinstance(direction, dict) or path.startswith("$"):
            raise CommandNotSupportedError("only fields with 1 or -1 can be sorted by on this server")
        if isinstance(direction, bool) or direction not in (1, -1):
            msg = f"the sort direction of {path!r} must be 1 or -1"
            raise BadValueError(msg)
        paths.split(path)
        found.append((path, direction == -1))
    return found


def compile_sort(spec: Any) -> Callable[[Document], tuple[bytes, ...]]:
    """A key function for `sorted`.

    Raises:
        BadValueError: as `directions`.
    """
    fields = [(paths.split(path), is_descending) for path, is_descending in directions(spec)]

    def key(document: Document) -> tuple[bytes, ...]:
        return tuple(
            descending(_extreme(document, parts, largest=True)) if is_descending else _extreme(document, parts)
            for parts, is_descending in fields
        )

    return key


def field_keys(document: Document, parts: Sequence[str]) -> tuple[list[bytes], bool]:
    """The keys that an index holds for a document at a path, and whether an array is on the way.

    A missing field counts as null, an empty array as less than null.
    """
    if len(parts) == 1:
        value = document.get(parts[0], MISSING)
        if type(value) is not list:
            return [NULL_KEY if value is MISSING else order_key(value)], False
    keys: set[bytes] = set()
    for value in paths.leaves(document, parts):
        if type(value) is list:
            keys.update(order_key(element) for element in value)
            if not value:
                keys.add(UNDEFINED_KEY)
        else:
            keys.add(NULL_KEY if value is MISSING else order_key(value))
    return list(keys) or [NULL_KEY], _meets_array(document, parts)


def _meets_array(document: Document, parts: Sequence[str]) -> bool:
    value: Any = document
    for part in parts:
        if not isinstance(value, dict):
            break
        value = value.get(part)
    return isinstance(value, list)


def _extreme(document: Document, parts: list[str], *, largest: bool = False) -> bytes:
    keys, _ = field_keys(document, parts)
    return max(keys) if largest else min(keys)
