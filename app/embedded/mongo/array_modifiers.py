"""What `$push`, `$addToSet`, `$pull`, `$pullAll` and `$pop` make of an array."""

from collections.abc import Callable
from typing import Any

from app.embedded.mongo.arithmetic import as_whole
from app.embedded.mongo.errors import BadValueError, FailedToParseError
from app.embedded.mongo.expressions import Variables
from app.embedded.mongo.matching import compile_filter
from app.embedded.mongo.operators import equals
from app.embedded.mongo.ordering import order_key
from app.embedded.mongo.sorting import compile_sort

Change = Callable[[list[Any]], list[Any]]


def push(operand: Any, _variables: Variables) -> Change:
    """`$push`, with `$each`, `$position`, `$slice` and `$sort`.

    Raises:
        BadValueError: a modifier is unknown or its value cannot be used.
    """
    if not isinstance(operand, dict) or "$each" not in operand:
        if isinstance(operand, dict) and any(name.startswith("$") for name in operand):
            raise BadValueError("$push modifiers need an $each")
        return lambda old: [*old, operand]
    unknown = set(operand) - {"$each", "$position", "$slice", "$sort"}
    if unknown:
        msg = f"Unrecognized clause in $push: {min(unknown)}"
        raise BadValueError(msg)
    added = _each(operand, "$push")
    position = _whole(operand, "$position")
    count = _whole(operand, "$slice")
    order = _element_order(operand["$sort"]) if "$sort" in operand else None

    def change(old: list[Any]) -> list[Any]:
        place = len(old) if position is None else position
        new = old[:place] + added + old[place:] if place >= 0 else _before_end(old, added, place)
        if order is not None:
            new = order(new)
        if count is None:
            return new
        return new[:count] if count >= 0 else new[count:]

    return change


def _before_end(old: list[Any], added: list[Any], place: int) -> list[Any]:
    index = max(0, len(old) + place)
    return old[:index] + added + old[index:]


def _element_order(spec: Any) -> Change:
    if spec in (1, -1) and not isinstance(spec, bool):
        return lambda values: sorted(values, key=order_key, reverse=spec == -1)
    sort_key = compile_sort(spec)
    return lambda values: sorted(values, key=lambda value: sort_key(value if isinstance(value, dict) else {}))


def _each(operand: dict[str, Any], name: str) -> list[Any]:
    values = operand["$each"]
    if not isinstance(values, list):
        msg = f"The argument to $each in {name} must be an array"
        raise BadValueError(msg)
    return values


def _whole(operand: dict[str, Any], name: str) -> int | None:
    if name not in operand:
        return None
    number = as_whole(operand[name])
    if number is None:
        msg = f"The value for {name} must be a whole number"
        raise BadValueError(msg)
    return number


def add_to_set(operand: Any, _variables: Variables) -> Change:
    """`$addToSet`, with `$each`: appends what no element equals."""
    if isinstance(operand, dict) and "$each" in operand:
        if len(operand) != 1:
            raise BadValueError("$addToSet takes no modifier but $each")
        added = _each(operand, "$addToSet")
    else:
        added = [operand]

    def change(old: list[Any]) -> list[Any]:
        known = {order_key(value) for value in old}
        new = list(old)
        for value in added:
            key = order_key(value)
            if key not in known:
                known.add(key)
                new.append(value)
        return new

    return change


def pull(operand: Any, variables: Variables) -> Change:
    """`$pull`: removes the elements that a value equals or a condition matches."""
    if isinstance(operand, dict) and operand and next(iter(operand)).startswith("$"):
        if next(iter(operand)) in ("$and", "$or", "$nor"):
            inner = compile_filter(operand, variables)
            return lambda old: [value for value in old if not (isinstance(value, dict) and inner(value))]
        match = compile_filter({"value": operand}, variables)
        return lambda old: [value for value in old if not match({"value": value})]
    if isinstance(operand, dict):
        fields = compile_filter(operand, variables)
        return lambda old: [value for value in old if not (isinstance(value, dict) and fields(value))]
    test = equals(operand)
    return lambda old: [value for value in old if not test(value)]


def pull_all(operand: Any, _variables: Variables) -> Change:
    """`$pullAll`: removes the elements that equal one of a list."""
    if not isinstance(operand, list):
        raise BadValueError("$pullAll requires an array argument")
    keys = {order_key(value) for value in operand}
    return lambda old: [value for value in old if order_key(value) not in keys]


def pop(operand: Any, _variables: Variables) -> Change:
    """`$pop`: without the last (1) or the first (-1) element."""
    if isinstance(operand, bool) or operand not in (1, -1):
        raise FailedToParseError("$pop expects 1 or -1")
    return lambda old: old[:-1] if operand == 1 else old[1:]
