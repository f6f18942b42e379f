"""`$group`: documents brought together by a key, with one accumulator for each answered field."""

from collections.abc import Callable, Iterator
from typing import Any

from app.embedded.mongo import arithmetic
from app.embedded.mongo.errors import CommandNotSupportedError, FailedToParseError
from app.embedded.mongo.expressions import Expression, Variables, compile_expression
from app.embedded.mongo.ordering import NULL_KEY, order_key
from app.embedded.mongo.paths import MISSING, Document


class _Sum:
    def __init__(self) -> None:
        self.value: Any = 0

    def add(self, value: Any) -> None:
        if arithmetic.is_number(value):
            self.value = arithmetic.add(self.value, value)

    def result(self) -> Any:
        return self.value


class _Average(_Sum):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def add(self, value: Any) -> None:
        super().add(value)
        self.count += arithmetic.is_number(value)

    def result(self) -> Any:
        return arithmetic.divide(self.value, self.count) if self.count else None


class _Smallest:
    def __init__(self) -> None:
        self.key: bytes | None = None
        self.value: Any = None

    def add(self, value: Any) -> None:
        if value is None or value is MISSING:
            return
        key = order_key(value)
        if self.key is None or self.beats(key, self.key):
            self.key, self.value = key, value

    def beats(self, new: bytes, old: bytes) -> bool:
        return new < old

    def result(self) -> Any:
        return self.value


class _Largest(_Smallest):
    def beats(self, new: bytes, old: bytes) -> bool:
        return new > old


class _First:
    def __init__(self) -> None:
        self.value: Any = MISSING

    def add(self, value: Any) -> None:
        if self.value is MISSING:
            self.value = None if value is MISSING else value

    def result(self) -> Any:
        return None if self.value is MISSING else self.value


class _Last(_First):
    def add(self, value: Any) -> None:
        self.value = None if value is MISSING else value


class _Push:
    def __init__(self) -> None:
        self.values: list[Any] = []

    def add(self, value: Any) -> None:
        if value is not MISSING:
            self.values.append(value)

    def result(self) -> Any:
        return self.values


class _Set:
    def __init__(self) -> None:
        self.values: dict[bytes, Any] = {}

    def add(self, value: Any) -> None:
        if value is not MISSING:
            self.values.setdefault(order_key(value), value)

    def result(self) -> Any:
        return list(self.values.values())


_Accumulator = _Sum | _Smallest | _First | _Push | _Set
_ACCUMULATORS: dict[str, type[_Accumulator]] = {
    "$sum": _Sum,
    "$avg": _Average,
    "$min": _Smallest,
    "$max": _Largest,
    "$first": _First,
    "$last": _Last,
    "$push": _Push,
    "$addToSet": _Set,
}


def compile_group(spec: Any, variables: Variables) -> Callable[[Iterator[Document]], Iterator[Document]]:
    """A `$group` stage; groups come in the order in which their first document came.

    Raises:
        FailedToParseError: no `_id`, or a field that is no accumulator.
        CommandNotSupportedError: an accumulator that this server does not have.
    """
    if not isinstance(spec, dict) or "_id" not in spec:
        raise FailedToParseError("a group specification must include an _id")
    identity = compile_expression(spec["_id"], variables)
    fields = [_field(name, operand, variables) for name, operand in spec.items() if name != "_id"]

    def run(documents: Iterator[Document]) -> Iterator[Document]:
        groups: dict[bytes, tuple[Any, list[Any]]] = {}
        for document in documents:
            value = identity(document)
            key = NULL_KEY if value is MISSING else order_key(value)
            group = groups.get(key)
            if group is None:
                group = groups[key] = (None if value is MISSING else value, [kind() for _, kind, _ in fields])
            for accumulator, (_, _, argument) in zip(group[1], fields, strict=True):
                accumulator.add(argument(document))
        for value, accumulators in groups.values():
            answers = zip(fields, accumulators, strict=True)
            yield {"_id": value, **{name: accumulator.result() for (name, _, _), accumulator in answers}}

    return run


def _field(name: str, operand: Any, variables: Variables) -> tuple[str, type[_Accumulator], Expression]:
    if "." in name or not isinstance(operand, dict) or len(operand) != 1:
        msg = f"The field {name!r} must be an accumulator object"
        raise FailedToParseError(msg)
    ((operator, argument),) = operand.items()
    if operator == "$count" and argument == {}:
        operator, argument = "$sum", 1
    if operator not in _ACCUMULATORS:
        msg = f"the accumulator {operator} is not supported by this server"
        raise CommandNotSupportedError(msg)
    return name, _ACCUMULATORS[operator], compile_expression(argument, variables)
