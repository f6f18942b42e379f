"""Reading and writing a dotted path (`a.b.0.c`) in a document."""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, Final

from bson import DBRef

from app.embedded.mongo.errors import BadValueError, EmptyFieldNameError, PathNotViableError

MAX_PADDING = 100_000
"""How far behind an array's end an update may write; the gap is filled with nulls."""

Document = dict[str, Any]


class Missing(Enum):
    """`MISSING` stands for a field that is not there, which is not the same as null."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


def split(path: str) -> list[str]:
    """The parts of a path.

    Raises:
        EmptyFieldNameError: a part is empty.
        BadValueError: the path holds a null character.
    """
    if "\x00" in path:
        raise BadValueError("a field path must not hold a null character")
    parts = path.split(".")
    if "" in parts:
        msg = f"the field path {path!r} has an empty part"
        raise EmptyFieldNameError(msg)
    return parts


def leaves(value: Any, parts: Sequence[str]) -> Iterator[Any]:
    """Each value that `parts` reaches, through the documents of arrays as MongoDB's filters go.

    An array at the end is given whole. `MISSING` stands for a document without the field.
    """
    if not parts:
        yield value
    elif isinstance(value, dict):
        yield from leaves(value[parts[0]], parts[1:]) if parts[0] in value else (MISSING,)
    elif isinstance(value, DBRef):
        yield from leaves(value.as_doc(), parts)
    elif isinstance(value, list):
        index = position(parts[0])
        if index is not None and index < len(value):
            yield from leaves(value[index], parts[1:])
        for element in value:
            if isinstance(element, dict):
                yield from leaves(element, parts)
    else:
        yield MISSING


def position(part: str) -> int | None:
    """The array index that a path's part names, or None: `"0"` does, `"00"` and `"-1"` do not."""
    if part.isascii() and part.isdecimal() and (part == "0" or part[0] != "0") and len(part) < 10:
        return int(part)
    return None


def get(document: Any, parts: Sequence[str]) -> Any:
    """The one value at a path as an update sees it (arrays only by index), or `MISSING`."""
    value = document
    for part in parts:
        if isinstance(value, dict):
            value = value.get(part, MISSING)
        elif isinstance(value, list):
            index = position(part)
            value = value[index] if index is not None and index < len(value) else MISSING
        else:
            return MISSING
    return value


def put(document: Document, parts: Sequence[str], new: Any) -> None:
    """Set the value at a path and make the documents on the way.

    Raises:
        PathNotViableError: something on the way is neither a document nor an array with such an index.
    """
    holder: Any = document
    for depth, part in enumerate(parts):
        is_last = depth == len(parts) - 1
        if isinstance(holder, dict):
            if is_last:
                holder[part] = new
            else:
                holder = holder.setdefault(part, {})
        elif isinstance(holder, list):
            index = _padded(holder, part, parts)
            if is_last:
                holder[index] = new
            else:
                if holder[index] is None:
                    holder[index] = {}
                holder = holder[index]
        else:
            raise _not_viable(part, parts)


def remove(document: Document, parts: Sequence[str]) -> bool:
    """Remove the field at a path; an array's element becomes null. False when it was not there."""
    holder = get(document, parts[:-1])
    last = parts[-1]
    if isinstance(holder, dict):
        return holder.pop(last, MISSING) is not MISSING
    index = position(last)
    if isinstance(holder, list) and index is not None and index < len(holder):
        holder[index] = None
        return True
    return False


def _padded(array: list[Any], part: str, parts: Sequence[str]) -> int:
    index = position(part)
    if index is None:
        raise _not_viable(part, parts)
    if index > len(array) + MAX_PADDING:
        msg = f"index {index} is too far behind the end of the array of {len(array)}"
        raise BadValueError(msg)
    array.extend([None] * (index + 1 - len(array)))
    return index


def _not_viable(part: str, parts: Sequence[str]) -> PathNotViableError:
    return PathNotViableError(f"Cannot create field {part!r} in the path {'.'.join(parts)!r}")
