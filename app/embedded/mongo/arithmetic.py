"""Arithmetic that keeps BSON's number types: int32, int64, double and Decimal128."""

import decimal
import operator
from collections.abc import Callable
from typing import Any

from bson import Decimal128, Int64
from bson.decimal128 import create_decimal128_context

from app.embedded.mongo.errors import BadValueError, TypeMismatchError

_DECIMAL = create_decimal128_context()
_INT32 = range(-(1 << 31), 1 << 31)
_INT64 = range(-(1 << 63), 1 << 63)


def is_number(value: Any) -> bool:
    """True for the four number types; a bool is none."""
    return type(value) in (int, float, Int64, Decimal128)


def as_whole(value: Any) -> int | None:
    """The whole number that a client wrote as int32, int64 or double; None when it is none."""
    if type(value) is float:
        return int(value) if value.is_integer() else None
    return int(value) if type(value) in (int, Int64) else None


def add(left: Any, right: Any) -> Any:
    """The sum, in the wider type of the two.

    Raises:
        TypeMismatchError: one is no number.
        BadValueError: two whole numbers leave int64.
    """
    return _combine(left, right, operator.add, _DECIMAL.add)


def subtract(left: Any, right: Any) -> Any:
    """The difference, in the wider type of the two; errors as `add`."""
    return _combine(left, right, operator.sub, _DECIMAL.subtract)


def multiply(left: Any, right: Any) -> Any:
    """The product, in the wider type of the two; errors as `add`."""
    return _combine(left, right, operator.mul, _DECIMAL.multiply)


def divide(left: Any, right: Any) -> Any:
    """The quotient: a Decimal128 if one is, else a double.

    Raises:
        TypeMismatchError: one is no number.
        BadValueError: the divisor is zero.
    """
    if is_number(right) and not to_decimal(right):
        raise BadValueError("can't $divide by zero")
    if isinstance(left, Decimal128) or isinstance(right, Decimal128):
        return _combine(left, right, operator.truediv, _DECIMAL.divide)
    return float(_combine(left, right, operator.truediv, _DECIMAL.divide))


def remainder(left: Any, right: Any) -> Any:
    """What the division leaves, with the sign of the dividend.

    Raises:
        TypeMismatchError: one is no number.
        BadValueError: the divisor is zero.
    """
    if is_number(right) and not to_decimal(right):
        raise BadValueError("can't $mod by zero")
    return _combine(left, right, _c_remainder, _DECIMAL.remainder)


def to_decimal(value: Any) -> decimal.Decimal:
    """The exact value of any number."""
    if isinstance(value, Decimal128):
        return value.to_decimal()
    return decimal.Decimal(value)


def whole(number: int, *, is_long: bool) -> int:
    """An int as BSON will store it: int32, or int64 when it was one or does not fit.

    Raises:
        BadValueError: it does not fit 64 bits.
    """
    if number not in _INT64:
        msg = f"{number} does not fit a 64 bit integer"
        raise BadValueError(msg)
    return Int64(number) if is_long or number not in _INT32 else number


def _combine(
    left: Any,
    right: Any,
    native: Callable[[Any, Any], Any],
    exact: Callable[[decimal.Decimal, decimal.Decimal], decimal.Decimal],
) -> Any:
    for value in (left, right):
        if not is_number(value):
            msg = f"a number is needed, not {type(value).__name__}"
            raise TypeMismatchError(msg)
    if isinstance(left, Decimal128) or isinstance(right, Decimal128):
        with decimal.localcontext(_DECIMAL):
            return Decimal128(_DECIMAL.create_decimal(exact(to_decimal(left), to_decimal(right))))
    try:
        result = native(left, right)
    except (OverflowError, ZeroDivisionError) as exc:
        msg = f"the result cannot be represented: {exc}"
        raise BadValueError(msg) from exc
    if isinstance(result, float):
        return float(result)
    return whole(int(result), is_long=isinstance(left, Int64) or isinstance(right, Int64))


def _c_remainder(left: Any, right: Any) -> Any:
    if isinstance(left, float) or isinstance(right, float):
        if abs(left) == float("inf"):
            return float("nan")
        quotient = abs(left) % abs(right) if abs(right) != float("inf") else abs(left)
        return float(quotient if left >= 0 else -quotient)
    return abs(left) % abs(right) * (1 if left >= 0 else -1)
