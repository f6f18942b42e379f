"""The operators of filters that look at one value: comparisons, `$in`, `$type`, `$regex`, `$mod`."""

import re
from collections.abc import Callable
from math import isfinite
from typing import Any

from bson import Binary, Code, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

from app.embedded.mongo.errors import BadValueError
from app.embedded.mongo.ordering import NAN_KEY, NULL_KEY, order_key, type_of
from app.embedded.mongo.paths import MISSING

Test = Callable[[Any], bool]

MAX_REGEX_CHARS = 32_764
"""MongoDB's own limit of a pattern."""

_TYPES: dict[str, tuple[int, tuple[type, ...]]] = {
    "double": (1, (float,)),
    "string": (2, (str,)),
    "object": (3, (dict,)),
    "array": (4, (list,)),
    "binData": (5, (bytes, Binary)),
    "objectId": (7, (ObjectId,)),
    "bool": (8, (bool,)),
    "date": (9, (DatetimeMS,)),
    "null": (10, (type(None),)),
    "regex": (11, (Regex,)),
    "javascript": (13, (Code,)),
    "int": (16, (int,)),
    "timestamp": (17, (Timestamp,)),
    "long": (18, (Int64,)),
    "decimal": (19, (Decimal128,)),
    "minKey": (-1, (MinKey,)),
    "maxKey": (127, (MaxKey,)),
    "number": (0, (float, int, Int64, Decimal128)),
}


def type_name(value: Any) -> str:
    """The name of a value's BSON type, as `$type` answers it; `missing` for no value."""
    if value is MISSING:
        return "missing"
    for name, (_, classes) in _TYPES.items():
        if type(value) in classes:
            return name
    return "object"


def equals(operand: Any) -> Test:
    """Equality as `{field: operand}` means it: null also for a missing field, a regex by matching."""
    if isinstance(operand, Regex):
        return _regex(operand)
    if type(operand) in (str, ObjectId):
        kind = type(operand)
        return lambda value: type(value) is kind and bool(value == operand)
    wanted = order_key(operand)
    if wanted == NULL_KEY:
        return lambda value: value is None or value is MISSING
    return lambda value: value is not MISSING and order_key(value) == wanted


def _compares(accept: Callable[[bytes, bytes], bool], *, or_equal: bool) -> Callable[[Any], Test]:
    def build(operand: Any) -> Test:
        if isinstance(operand, Regex):
            raise BadValueError("Can't have RegEx as arg to predicate over field")
        limit = order_key(operand)
        bracket = type_of(limit)
        # NaN sorts below all numbers and yet is neither less nor greater than one.
        if limit in (NAN_KEY, NULL_KEY):
            return equals(operand) if or_equal else lambda _: False

        def test(value: Any) -> bool:
            if value is MISSING:
                return False
            key = order_key(value)
            return type_of(key) == bracket and key != NAN_KEY and accept(key, limit)

        return test

    return build


def _equal_to(operand: Any) -> Test:
    if not isinstance(operand, Regex):
        return equals(operand)
    wanted = order_key(operand)
    return lambda value: value is not MISSING and order_key(value) == wanted


def _in(operand: Any) -> Test:
    if not isinstance(operand, list):
        raise BadValueError("$in needs an array")
    if any(isinstance(part, dict) and next(iter(part), "").startswith("$") for part in operand):
        raise BadValueError("cannot nest $ under $in")
    patterns = [_regex(part) for part in operand if isinstance(part, Regex)]
    keys = frozenset(order_key(part) for part in operand)

    def test(value: Any) -> bool:
        key = NULL_KEY if value is MISSING else order_key(value)
        return key in keys or any(pattern(value) for pattern in patterns)

    return test


def _type(operand: Any) -> Test:
    wanted: tuple[type, ...] = ()
    for alias in operand if isinstance(operand, list) else [operand]:
        found = [
            classes
            for name, (number, classes) in _TYPES.items()
            if alias == name or (not isinstance(alias, bool) and alias == number and number)
        ]
        if not found:
            msg = f"Unknown type name alias or code: {alias!r}"
            raise BadValueError(msg)
        wanted += found[0]
    return lambda value: type(value) in wanted


def _regex(operand: Any) -> Test:
    pattern = operand.pattern if isinstance(operand.pattern, str) else operand.pattern.decode()
    if len(pattern) > MAX_REGEX_CHARS:
        raise BadValueError("the regular expression is too long")
    try:
        compiled = re.compile(pattern, operand.flags & (re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE))
    except (re.error, RecursionError, OverflowError) as exc:
        msg = f"Regular expression is invalid: {exc}"
        raise BadValueError(msg) from exc
    own = order_key(operand)

    def test(value: Any) -> bool:
        if type(value) is str:
            return compiled.search(value) is not None
        return isinstance(value, Regex) and order_key(value) == own

    return test


def _mod(operand: Any) -> Test:
    if not isinstance(operand, list) or len(operand) != 2:
        raise BadValueError("malformed mod, it needs an array of two numbers")
    if any(isinstance(part, bool) or not isinstance(part, int | float) or not isfinite(part) for part in operand):
        raise BadValueError("malformed mod, divisor and remainder have to be numbers")
    divisor, remainder = (int(part) for part in operand)
    if divisor == 0:
        raise BadValueError("divisor cannot be 0")

    def test(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            return False
        whole = int(value)
        # The sign is the dividend's, as in C, not the divisor's, as in Python.
        return (abs(whole) % abs(divisor)) * (1 if whole >= 0 else -1) == remainder

    return test


OPERATORS: dict[str, Callable[[Any], Test]] = {
    "$eq": _equal_to,
    "$gt": _compares(lambda key, limit: key > limit, or_equal=False),
    "$gte": _compares(lambda key, limit: key >= limit, or_equal=True),
    "$lt": _compares(lambda key, limit: key < limit, or_equal=False),
    "$lte": _compares(lambda key, limit: key <= limit, or_equal=True),
    "$in": _in,
    "$type": _type,
    "$regex": _regex,
    "$mod": _mod,
}
