"""The operators of aggregation expressions that are plain functions of their evaluated arguments.

A function with a null or missing argument answers null, as MongoDB's do, unless its docstring says else.
`FUNCTIONS` maps a name to the function and the least and most arguments; a least of 0 means one document
of named arguments.
"""

import math
from collections.abc import Callable
from functools import reduce, wraps
from typing import Any

from bson import DatetimeMS, Decimal128, Int64

from app.embedded.mongo import arithmetic, dates
from app.embedded.mongo.errors import BadValueError, FailedToParseError, TypeMismatchError
from app.embedded.mongo.operators import type_name
from app.embedded.mongo.ordering import NULL_KEY, order_key
from app.embedded.mongo.paths import MISSING

MAX_TEXT_CHARS = 16 * 1024 * 1024


def _nullable(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def answer(*values: Any) -> Any:
        if any(value is None or value is MISSING for value in values):
            return None
        return function(*values)

    return answer


def key(value: Any) -> bytes:
    """The order key of an evaluated value; a missing one sorts as null."""
    return NULL_KEY if value is MISSING else order_key(value)


def _strict_key(value: Any) -> bytes:
    # In expressions, unlike in filters, a missing value is below null.
    return b"" if value is MISSING else order_key(value)


def _add(*values: Any) -> Any:
    moments = [value for value in values if isinstance(value, DatetimeMS)]
    if not moments:
        return reduce(arithmetic.add, values, 0)
    if len(moments) > 1:
        raise TypeMismatchError("only one date allowed in an $add expression")
    rest = reduce(arithmetic.add, (value for value in values if value is not moments[0]), 0)
    return DatetimeMS(int(moments[0]) + round(arithmetic.to_decimal(rest)))


def _subtract(left: Any, right: Any) -> Any:
    if isinstance(left, DatetimeMS):
        if isinstance(right, DatetimeMS):
            return Int64(int(left) - int(right))
        return DatetimeMS(int(left) - round(arithmetic.to_decimal(right)))
    return arithmetic.subtract(left, right)


def _multiply(*values: Any) -> Any:
    return reduce(arithmetic.multiply, values, 1)


def _absolute(value: Any) -> Any:
    return arithmetic.subtract(0, value) if key(value) < key(0) else value


def _rounded(rounding: Callable[[Any], int]) -> Callable[[Any], Any]:
    def answer(value: Any) -> Any:
        if not arithmetic.is_number(value):
            raise TypeMismatchError("a number is needed")
        if isinstance(value, Decimal128):
            return Decimal128(str(rounding(value.to_decimal())))
        if isinstance(value, float):
            return value if not math.isfinite(value) else float(rounding(value))
        return value

    return _nullable(answer)


def _round(value: Any, place: Any = 0) -> Any:
    if not arithmetic.is_number(value) or isinstance(value, Decimal128):
        raise TypeMismatchError("$round needs a double or a whole number")
    if isinstance(value, float):
        return round(value, int(place)) if math.isfinite(value) else value
    return arithmetic.whole(round(int(value), int(place)), is_long=isinstance(value, Int64))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        msg = f"a string is needed, not {type_name(value)}"
        raise TypeMismatchError(msg)
    return value


def _concat(*values: Any) -> str:
    parts = [_text(value) for value in values]
    if sum(map(len, parts)) > MAX_TEXT_CHARS:
        raise BadValueError("the result of $concat is too long")
    return "".join(parts)


def _to_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, DatetimeMS):
        return dates.as_text(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, dict | list):
        msg = f"$toString cannot convert {type_name(value)}"
        raise BadValueError(msg)
    return str(value)


def _substring(text: Any, start: Any, count: Any) -> str:
    if not (isinstance(start, int) and isinstance(count, int)) or start < 0 or count < 0:
        raise BadValueError("$substrCP needs a start and a length that are not negative")
    return "" if text is None or text is MISSING else _to_text(text)[start : start + count]


def _array(value: Any) -> list[Any]:
    if not isinstance(value, list):
        msg = f"an array is needed, not {type_name(value)}"
        raise TypeMismatchError(msg)
    return value


def _size(value: Any) -> int:
    """The length; a null or missing argument is an error here."""
    return len(_array(value))


def _element_at(values: Any, index: Any) -> Any:
    found = _array(values)
    number = arithmetic.as_whole(index)
    if number is None:
        raise TypeMismatchError("$arrayElemAt needs a whole number")
    return found[number] if -len(found) <= number < len(found) else MISSING


def _in(value: Any, values: Any) -> bool:
    wanted = _strict_key(value)
    return any(order_key(element) == wanted for element in _array(values))


def _slice(values: Any, first: Any, count: Any = None) -> list[Any]:
    found = _array(values)
    if count is None:
        return found[:first] if first >= 0 else found[first:]
    if count <= 0:
        raise BadValueError("the third argument of $slice must be positive")
    start = first if first >= 0 else max(0, len(found) + first)
    return found[start : start + count]


def _concat_arrays(*values: Any) -> list[Any]:
    return [element for value in values for element in _array(value)]


def _extreme(choose: Callable[..., Any]) -> Callable[..., Any]:
    def answer(*values: Any) -> Any:
        if len(values) == 1 and isinstance(values[0], list):
            values = tuple(values[0])
        found = [value for value in values if value is not None and value is not MISSING]
        return choose(found, key=order_key) if found else None

    return answer


def _sum(*values: Any) -> Any:
    """The sum of what is a number; the rest is passed over."""
    if len(values) == 1 and isinstance(values[0], list):
        values = tuple(values[0])
    return reduce(arithmetic.add, (value for value in values if arithmetic.is_number(value)), 0)


def _average(*values: Any) -> Any:
    """The mean of what is a number; null when nothing is."""
    if len(values) == 1 and isinstance(values[0], list):
        values = tuple(values[0])
    found = [value for value in values if arithmetic.is_number(value)]
    return arithmetic.divide(reduce(arithmetic.add, found, 0), len(found)) if found else None


def _object_to_array(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, dict):
        raise TypeMismatchError("$objectToArray needs a document")
    return [{"k": name, "v": part} for name, part in value.items()]


def _merge(*values: Any) -> dict[str, Any]:
    """All fields of all documents, the last wins; null and missing are passed over."""
    found: dict[str, Any] = {}
    for value in values:
        if value is None or value is MISSING:
            continue
        if not isinstance(value, dict):
            raise TypeMismatchError("$mergeObjects needs documents")
        found.update(value)
    return found


def _compare(test: Callable[[bytes, bytes], Any]) -> Callable[[Any, Any], Any]:
    return lambda left, right: test(_strict_key(left), _strict_key(right))


def _split(text: Any, separator: Any) -> list[str]:
    if not separator:
        raise FailedToParseError("$split needs a separator that is not empty")
    return _text(text).split(_text(separator))


_MANY = 1 << 20

FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "$add": (_nullable(_add), 1, _MANY),
    "$subtract": (_nullable(_subtract), 2, 2),
    "$multiply": (_nullable(_multiply), 1, _MANY),
    "$divide": (_nullable(arithmetic.divide), 2, 2),
    "$mod": (_nullable(arithmetic.remainder), 2, 2),
    "$abs": (_nullable(_absolute), 1, 1),
    "$floor": (_rounded(math.floor), 1, 1),
    "$ceil": (_rounded(math.ceil), 1, 1),
    "$round": (_nullable(_round), 1, 2),
    "$eq": (_compare(lambda a, b: a == b), 2, 2),
    "$ne": (_compare(lambda a, b: a != b), 2, 2),
    "$gt": (_compare(lambda a, b: a > b), 2, 2),
    "$gte": (_compare(lambda a, b: a >= b), 2, 2),
    "$lt": (_compare(lambda a, b: a < b), 2, 2),
    "$lte": (_compare(lambda a, b: a <= b), 2, 2),
    "$cmp": (_compare(lambda a, b: (a > b) - (a < b)), 2, 2),
    "$concat": (_nullable(_concat), 1, _MANY),
    "$toLower": (lambda value: "" if value in (None, MISSING) else _to_text(value).lower(), 1, 1),
    "$toUpper": (lambda value: "" if value in (None, MISSING) else _to_text(value).upper(), 1, 1),
    "$toString": (_nullable(_to_text), 1, 1),
    "$strLenCP": (lambda value: len(_text(value)), 1, 1),
    "$substrCP": (_substring, 3, 3),
    "$split": (_nullable(_split), 2, 2),
    "$size": (_size, 1, 1),
    "$arrayElemAt": (_nullable(_element_at), 2, 2),
    "$first": (_nullable(lambda values: _element_at(values, 0)), 1, 1),
    "$last": (_nullable(lambda values: _element_at(values, -1)), 1, 1),
    "$in": (_in, 2, 2),
    "$slice": (_nullable(_slice), 2, 3),
    "$concatArrays": (_nullable(_concat_arrays), 1, _MANY),
    "$isArray": (lambda value: isinstance(value, list), 1, 1),
    "$isNumber": (arithmetic.is_number, 1, 1),
    "$type": (type_name, 1, 1),
    "$min": (_extreme(min), 1, _MANY),
    "$max": (_extreme(max), 1, _MANY),
    "$sum": (_sum, 1, _MANY),
    "$avg": (_average, 1, _MANY),
    "$objectToArray": (_nullable(_object_to_array), 1, 1),
    "$mergeObjects": (_merge, 1, _MANY),
    **{f"${name}": (_nullable(function), 1, 1) for name, function in dates.PARTS.items()},
    "$dateToString": (dates.to_string, 0, 1),
    "$dateTrunc": (dates.truncate, 0, 1),
}
