"""Aggregation expressions: `"$field"`, `"$$ROOT"`, `{"$add": [...]}`, compiled to functions of a document."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bson import DatetimeMS, Decimal128

from app.embedded.mongo import paths
from app.embedded.mongo.errors import CommandNotSupportedError, FailedToParseError
from app.embedded.mongo.functions import FUNCTIONS
from app.embedded.mongo.ordering import MAX_DEPTH
from app.embedded.mongo.paths import MISSING, Document

Expression = Callable[[Document], Any]


@dataclass(frozen=True, slots=True)
class Variables:
    """What `$$NAME` may mean: the command's time, its `let`, and the names that `$map` and its like bind.

    A bound name is a list of one value, which the binding operator sets before each use; commands
    run one after another on one thread, so nobody else sees it.
    """

    now: DatetimeMS
    bound: Mapping[str, list[Any]] = field(default_factory=dict)
    depth: int = 0

    def bind(self, names: Mapping[str, list[Any]]) -> "Variables":
        """The same with more names."""
        return Variables(self.now, {**self.bound, **names}, self.depth + 1)


def is_true(value: Any) -> bool:
    """What counts as true in a condition: all but false, null, missing and zero."""
    if value is None or value is MISSING or value is False:
        return False
    if isinstance(value, Decimal128):
        return bool(value.to_decimal())
    return not (isinstance(value, int | float) and value == 0)


def compile_expression(expression: Any, variables: Variables) -> Expression:
    """A function that evaluates `expression` for a document; `MISSING` when it has no value.

    Raises:
        FailedToParseError: not well formed, or a variable is not defined.
        CommandNotSupportedError: an operator that this server does not have.
    """
    if variables.depth > MAX_DEPTH:
        raise FailedToParseError("an expression is nested too deeply")
    inner = Variables(variables.now, variables.bound, variables.depth + 1)
    if isinstance(expression, str) and expression.startswith("$"):
        return _reference(expression, inner)
    if isinstance(expression, list):
        parts = [compile_expression(part, inner) for part in expression]
        return lambda document: [_null(part(document)) for part in parts]
    if isinstance(expression, dict):
        if expression and next(iter(expression)).startswith("$"):
            return _call(expression, inner)
        return _object(expression, inner)
    return lambda _: expression


def _null(value: Any) -> Any:
    return None if value is MISSING else value


def _reference(text: str, variables: Variables) -> Expression:
    if not text.startswith("$$"):
        parts = paths.split(text[1:])
        if len(parts) == 1:
            name = parts[0]
            return lambda document: document.get(name, MISSING)
        return lambda document: reach(document, parts)
    name, *parts = paths.split(text[2:])
    if name in variables.bound:
        cell = variables.bound[name]
        return lambda _: reach(cell[0], parts)
    if name in ("ROOT", "CURRENT"):
        return lambda document: reach(document, parts)
    if name == "NOW" and not parts:
        return lambda _: variables.now
    if name == "REMOVE" and not parts:
        return lambda _: MISSING
    msg = f"Use of undefined variable: {name}"
    raise FailedToParseError(msg)


def reach(value: Any, parts: list[str]) -> Any:
    """The value at a path as an expression sees it: through an array it is the array of what is found."""
    for depth, part in enumerate(parts):
        if isinstance(value, list):
            found = [reach(element, parts[depth:]) for element in value if isinstance(element, dict | list)]
            return [element for element in found if element is not MISSING]
        if not isinstance(value, dict) or part not in value:
            return MISSING
        value = value[part]
    return value


def _object(expression: dict[str, Any], variables: Variables) -> Expression:
    fields = {name: compile_expression(part, variables) for name, part in expression.items()}

    def evaluate(document: Document) -> Any:
        values = ((name, part(document)) for name, part in fields.items())
        return {name: value for name, value in values if value is not MISSING}

    return evaluate


def _call(expression: dict[str, Any], variables: Variables) -> Expression:
    if len(expression) != 1:
        raise FailedToParseError("an expression must have exactly one operator")
    ((name, operand),) = expression.items()
    if name in _FORMS:
        return _FORMS[name](operand, variables)
    if name not in FUNCTIONS:
        msg = f"the expression operator {name} is not supported by this server"
        raise CommandNotSupportedError(msg)
    function, least, most = FUNCTIONS[name]
    if least == 0:
        return _named_arguments(function, operand, variables)
    operands = operand if isinstance(operand, list) else [operand]
    if not least <= len(operands) <= most:
        msg = f"Expression {name} takes {least} to {most} arguments, not {len(operands)}"
        raise FailedToParseError(msg)
    parts = [compile_expression(part, variables) for part in operands]
    return lambda document: function(*(part(document) for part in parts))


def _named_arguments(function: Callable[..., Any], operand: Any, variables: Variables) -> Expression:
    if not isinstance(operand, dict):
        raise FailedToParseError("the operator needs a document of named arguments")
    parts = {name: compile_expression(part, variables) for name, part in operand.items()}

    def evaluate(document: Document) -> Any:
        return function({name: part(document) for name, part in parts.items()})

    return evaluate


def _arguments(operand: Any, needed: set[str], optional: set[str]) -> dict[str, Any]:
    if not isinstance(operand, dict):
        raise FailedToParseError("the operator needs a document of named arguments")
    if not needed <= set(operand) <= needed | optional:
        msg = f"the arguments must be {sorted(needed)} and may be {sorted(optional)}, not {sorted(operand)}"
        raise FailedToParseError(msg)
    return operand


def _literal(operand: Any, _variables: Variables) -> Expression:
    return lambda _: operand


def _cond(operand: Any, variables: Variables) -> Expression:
    if isinstance(operand, dict):
        named = _arguments(operand, {"if", "then", "else"}, set())
        operand = [named["if"], named["then"], named["else"]]
    if not isinstance(operand, list) or len(operand) != 3:
        raise FailedToParseError("$cond needs three arguments")
    condition, then, other = (compile_expression(part, variables) for part in operand)
    return lambda document: then(document) if is_true(condition(document)) else other(document)


def _if_null(operand: Any, variables: Variables) -> Expression:
    if not isinstance(operand, list) or len(operand) < 2:
        raise FailedToParseError("$ifNull needs two arguments")
    parts = [compile_expression(part, variables) for part in operand]

    def evaluate(document: Document) -> Any:
        for part in parts:
            value = part(document)
            if value is not None and value is not MISSING:
                break
        return value

    return evaluate


def _switch(operand: Any, variables: Variables) -> Expression:
    named = _arguments(operand, {"branches"}, {"default"})
    if not isinstance(named["branches"], list) or not named["branches"]:
        raise FailedToParseError("$switch needs at least one branch")
    branches = []
    for branch in named["branches"]:
        _arguments(branch, {"case", "then"}, set())
        case, then = (compile_expression(branch[part], variables) for part in ("case", "then"))
        branches.append((case, then))
    default = compile_expression(named["default"], variables) if "default" in named else None

    def evaluate(document: Document) -> Any:
        for case, then in branches:
            if is_true(case(document)):
                return then(document)
        if default is None:
            raise FailedToParseError("$switch found no branch and has no default")
        return default(document)

    return evaluate


def _parts(operand: Any, variables: Variables) -> list[Expression]:
    return [compile_expression(part, variables) for part in (operand if isinstance(operand, list) else [operand])]


def _and(operand: Any, variables: Variables) -> Expression:
    parts = _parts(operand, variables)
    return lambda document: all(is_true(part(document)) for part in parts)


def _or(operand: Any, variables: Variables) -> Expression:
    parts = _parts(operand, variables)
    return lambda document: any(is_true(part(document)) for part in parts)


def _not(operand: Any, variables: Variables) -> Expression:
    if isinstance(operand, list):
        if len(operand) != 1:
            raise FailedToParseError("$not takes exactly 1 argument")
        operand = operand[0]
    part = compile_expression(operand, variables)
    return lambda document: not is_true(part(document))


def _let(operand: Any, variables: Variables) -> Expression:
    named = _arguments(operand, {"vars", "in"}, set())
    cells: dict[str, list[Any]] = {name: [None] for name in named["vars"]}
    values = {name: compile_expression(part, variables) for name, part in named["vars"].items()}
    body = compile_expression(named["in"], variables.bind(cells))

    def evaluate(document: Document) -> Any:
        found = {name: value(document) for name, value in values.items()}
        for name, value in found.items():
            cells[name][0] = value
        return body(document)

    return evaluate


def _elements(
    operand: Any, variables: Variables, name: str, body_name: str
) -> Callable[[Document], list[tuple[Any, Any]] | None]:
    """Gives the elements of the input, each with what the body makes of it; None for an input without value."""
    named = _arguments(operand, {"input", body_name}, {"as"})
    cell: list[Any] = [None]
    source = compile_expression(named["input"], variables)
    body = compile_expression(named[body_name], variables.bind({named.get("as", "this"): cell}))

    def evaluate(document: Document) -> list[tuple[Any, Any]] | None:
        values = source(document)
        if values is None or values is MISSING:
            return None
        if not isinstance(values, list):
            msg = f"the input of {name} must be an array"
            raise FailedToParseError(msg)
        found = []
        for value in values:
            cell[0] = value
            found.append((value, body(document)))
        return found

    return evaluate


def _map(operand: Any, variables: Variables) -> Expression:
    elements = _elements(operand, variables, "$map", "in")

    def evaluate(document: Document) -> Any:
        found = elements(document)
        return None if found is None else [_null(made) for _, made in found]

    return evaluate


def _filter(operand: Any, variables: Variables) -> Expression:
    elements = _elements(operand, variables, "$filter", "cond")

    def evaluate(document: Document) -> Any:
        found = elements(document)
        return None if found is None else [value for value, holds in found if is_true(holds)]

    return evaluate


_FORMS: dict[str, Callable[[Any, Variables], Expression]] = {
    "$literal": _literal,
    "$cond": _cond,
    "$ifNull": _if_null,
    "$switch": _switch,
    "$and": _and,
    "$or": _or,
    "$not": _not,
    "$let": _let,
    "$map": _map,
    "$filter": _filter,
}
