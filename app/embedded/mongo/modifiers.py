"""The operators of updates (`$set`, `$inc`, `$push`, ...), each compiled to a function that changes a document."""

from collections.abc import Callable
from typing import Any

from bson import DatetimeMS, Int64, Timestamp

from app.embedded.mongo import arithmetic, paths
from app.embedded.mongo.array_modifiers import add_to_set, pop, pull, pull_all, push
from app.embedded.mongo.errors import BadValueError, TypeMismatchError
from app.embedded.mongo.expressions import Variables
from app.embedded.mongo.ordering import order_key
from app.embedded.mongo.paths import MISSING, Document

Modifier = Callable[[Document, list[str]], None]
"""Changes a document at a path."""

Compiled = tuple[Modifier, tuple[str, ...]]
"""A modifier, and the paths it touches besides its own."""


def _set(_path: str, operand: Any, _variables: Variables) -> Compiled:
    return lambda document, parts: paths.put(document, parts, operand), ()


def _unset(_path: str, _operand: Any, _variables: Variables) -> Compiled:
    def modify(document: Document, parts: list[str]) -> None:
        paths.remove(document, parts)

    return modify, ()


def _counted(name: str, combine: Callable[[Any, Any], Any]) -> Callable[[str, Any, Variables], Compiled]:
    def build(path: str, operand: Any, _variables: Variables) -> Compiled:
        if not arithmetic.is_number(operand):
            msg = f"Cannot {name} with non-numeric argument: {{{path}: {operand!r}}}"
            raise TypeMismatchError(msg)

        def modify(document: Document, parts: list[str]) -> None:
            old = paths.get(document, parts)
            if old is MISSING:
                old = 0  # int32, the narrowest type, so that the operand's type decides
            elif not arithmetic.is_number(old):
                msg = f"Cannot apply {name} to a value of non-numeric type at {path!r}"
                raise TypeMismatchError(msg)
            paths.put(document, parts, combine(old, operand))

        return modify, ()

    return build


def _bounded(keep_new: Callable[[bytes, bytes], bool]) -> Callable[[str, Any, Variables], Compiled]:
    def build(_path: str, operand: Any, _variables: Variables) -> Compiled:
        new_key = order_key(operand)

        def modify(document: Document, parts: list[str]) -> None:
            old = paths.get(document, parts)
            if old is MISSING or keep_new(new_key, order_key(old)):
                paths.put(document, parts, operand)

        return modify, ()

    return build


def _rename(path: str, operand: Any, _variables: Variables) -> Compiled:
    if not isinstance(operand, str):
        raise BadValueError("The 'to' field for $rename must be a string")
    target = paths.split(operand)
    if any(part.startswith("$") for part in target):
        raise BadValueError("The 'to' field for $rename may not begin with a dollar")
    if operand == path:
        raise BadValueError("The source and target field for $rename must differ")

    def modify(document: Document, parts: list[str]) -> None:
        for names in (parts, target):
            if any(isinstance(paths.get(document, names[:end]), list) for end in range(1, len(names))):
                raise BadValueError("$rename cannot go through an array")
        value = paths.get(document, parts)
        if value is not MISSING:
            paths.remove(document, parts)
            paths.put(document, target, value)

    return modify, (operand,)


def _current_date(_path: str, operand: Any, variables: Variables) -> Compiled:
    if isinstance(operand, bool) or operand == {"$type": "date"}:
        now: DatetimeMS | Timestamp = variables.now
    elif operand == {"$type": "timestamp"}:
        now = Timestamp(int(variables.now) // 1000, 1)
    else:
        raise BadValueError("$currentDate needs true, or a $type of 'date' or 'timestamp'")
    return lambda document, parts: paths.put(document, parts, now), ()


def _bit(_path: str, operand: Any, _variables: Variables) -> Compiled:
    if not isinstance(operand, dict) or not operand:
        raise BadValueError("$bit needs a document of and, or, xor")
    for name, number in operand.items():
        if name not in ("and", "or", "xor") or type(number) not in (int, Int64):
            raise BadValueError("$bit needs and, or, xor with a whole number")

    def modify(document: Document, parts: list[str]) -> None:
        old = paths.get(document, parts)
        number = 0 if old is MISSING else old
        if type(number) not in (int, Int64):
            raise BadValueError("Cannot apply $bit to a value of non-integral type")
        is_long = any(isinstance(value, Int64) for value in (number, *operand.values()))
        for name, other in operand.items():
            number = number & other if name == "and" else number | other if name == "or" else number ^ other
        paths.put(document, parts, arithmetic.whole(int(number), is_long=is_long))

    return modify, ()


def _on_array(name: str, change: Callable[[Any, Variables], Callable[[list[Any]], list[Any]]], *, create: bool) -> Any:
    def build(path: str, operand: Any, variables: Variables) -> Compiled:
        changed = change(operand, variables)

        def modify(document: Document, parts: list[str]) -> None:
            old = paths.get(document, parts)
            if old is MISSING:
                if not create:
                    return
                old = []
            if not isinstance(old, list):
                msg = f"Cannot apply {name} to the non-array field {path!r}"
                raise BadValueError(msg)
            paths.put(document, parts, changed(old))

        return modify, ()

    return build


MODIFIERS: dict[str, Callable[[str, Any, Variables], Compiled]] = {
    "$set": _set,
    "$setOnInsert": _set,
    "$unset": _unset,
    "$inc": _counted("$inc", arithmetic.add),
    "$mul": _counted("$mul", arithmetic.multiply),
    "$min": _bounded(lambda new, old: new < old),
    "$max": _bounded(lambda new, old: new > old),
    "$rename": _rename,
    "$currentDate": _current_date,
    "$bit": _bit,
    "$push": _on_array("$push", push, create=True),
    "$addToSet": _on_array("$addToSet", add_to_set, create=True),
    "$pull": _on_array("$pull", pull, create=False),
    "$pullAll": _on_array("$pullAll", pull_all, create=False),
    "$pop": _on_array("$pop", pop, create=False),
}
