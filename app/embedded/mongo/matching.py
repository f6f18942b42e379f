"""Filters: which documents a query means.

A filter is compiled once into a function, so that an operator which is not known is an error even
when the collection is empty.
"""

from collections.abc import Callable, Sequence
from typing import Any

from bson import Regex

from app.embedded.mongo import paths
from app.embedded.mongo.arithmetic import as_whole
from app.embedded.mongo.errors import BadValueError, CommandNotSupportedError, FailedToParseError
from app.embedded.mongo.expressions import Variables, compile_expression, is_true
from app.embedded.mongo.operators import OPERATORS, Test, equals
from app.embedded.mongo.ordering import MAX_DEPTH
from app.embedded.mongo.paths import MISSING, Document

Matcher = Callable[[Document], bool]

_NOT_HERE = {
    "$where", "$text", "$near", "$nearSphere", "$geoWithin", "$geoIntersects", "$jsonSchema", "$rand",
    "$sampleRate", "$bitsAllSet", "$bitsAnySet", "$bitsAllClear", "$bitsAnyClear",
}  # fmt: skip


def compile_filter(query: Any, variables: Variables, depth: int = 0) -> Matcher:
    """A function that says whether a document matches `query`.

    Raises:
        FailedToParseError: the query is not a document or not well formed.
        BadValueError: an operator is unknown or its operand cannot be used.
        CommandNotSupportedError: MongoDB has the operator and this server does not.
    """
    if not isinstance(query, dict):
        raise FailedToParseError("a filter must be a document")
    if depth > MAX_DEPTH:
        raise FailedToParseError("a filter is nested too deeply")
    tests = [_clause(name, operand, variables, depth) for name, operand in query.items() if name != "$comment"]
    if not tests:
        return lambda _: True
    if len(tests) == 1:
        return tests[0]
    return lambda document: all(test(document) for test in tests)


def _clause(name: str, operand: Any, variables: Variables, depth: int) -> Matcher:
    if not name.startswith("$"):
        return _field(name, operand, variables, depth)
    if name in ("$and", "$or", "$nor"):
        return _combined(name, operand, variables, depth)
    if name == "$expr":
        value = compile_expression(operand, variables)
        return lambda document: is_true(value(document))
    raise unknown_operator(name, "top level operator")


def unknown_operator(name: str, kind: str) -> BadValueError | CommandNotSupportedError:
    """The error for an operator that MongoDB has and we do not, or that nobody has."""
    if name in _NOT_HERE:
        return CommandNotSupportedError(f"{name} is not supported by this server")
    return BadValueError(f"unknown {kind}: {name}")


def _combined(name: str, operand: Any, variables: Variables, depth: int) -> Matcher:
    if not isinstance(operand, list) or not operand:
        msg = f"{name} must be a nonempty array"
        raise BadValueError(msg)
    tests = [compile_filter(part, variables, depth + 1) for part in operand]
    if name == "$and":
        return lambda document: all(test(document) for test in tests)
    if name == "$or":
        return lambda document: any(test(document) for test in tests)
    return lambda document: not any(test(document) for test in tests)


def _field(path: str, operand: Any, variables: Variables, depth: int) -> Matcher:
    parts = paths.split(path)
    if _is_operators(operand):
        return _operators(parts, operand, variables, depth)
    return _any_leaf(parts, equals(operand))


def _is_operators(operand: Any) -> bool:
    if not isinstance(operand, dict) or not operand:
        return False
    first = next(iter(operand))
    # A stored reference is a document although its names have dollars.
    return first.startswith("$") and first not in ("$ref", "$id", "$db")


def _any_leaf(parts: Sequence[str], test: Test) -> Matcher:
    """True when the test holds for a value at the path, or for one element of an array there."""
    if len(parts) == 1:
        name = parts[0]

        def match_name(document: Document) -> bool:
            value = document.get(name, MISSING)
            return test(value) or (type(value) is list and any(test(element) for element in value))

        return match_name

    def match_path(document: Document) -> bool:
        for value in paths.leaves(document, parts):
            if test(value) or (type(value) is list and any(test(element) for element in value)):
                return True
        return False

    return match_path


def _operators(parts: Sequence[str], operand: dict[str, Any], variables: Variables, depth: int) -> Matcher:
    tests: list[Matcher] = []
    for name, argument in operand.items():
        if name == "$options":
            if "$regex" not in operand:
                raise BadValueError("$options needs a $regex")
        elif name == "$regex":
            tests.append(_any_leaf(parts, OPERATORS["$regex"](_regex(argument, operand.get("$options")))))
        else:
            tests.append(_operator(parts, name, argument, variables, depth))
    if len(tests) == 1:
        return tests[0]
    return lambda document: all(test(document) for test in tests)


def _operator(parts: Sequence[str], name: str, argument: Any, variables: Variables, depth: int) -> Matcher:
    special = _SPECIAL.get(name)
    if special is not None:
        return special(parts, argument, variables, depth)
    if name in OPERATORS:
        return _any_leaf(parts, OPERATORS[name](argument))
    raise unknown_operator(name, "operator")


def _not_equal(parts: Sequence[str], argument: Any, _variables: Variables, _depth: int) -> Matcher:
    if isinstance(argument, Regex):
        raise BadValueError("Can't have regex as arg to $ne.")
    return _negated(_any_leaf(parts, OPERATORS["$eq"](argument)))


def _not_in(parts: Sequence[str], argument: Any, _variables: Variables, _depth: int) -> Matcher:
    return _negated(_any_leaf(parts, OPERATORS["$in"](argument)))


def _not(parts: Sequence[str], argument: Any, variables: Variables, depth: int) -> Matcher:
    if isinstance(argument, Regex):
        return _negated(_any_leaf(parts, equals(argument)))
    if not _is_operators(argument):
        raise BadValueError("$not needs a regex or a document of operators")
    return _negated(_operators(parts, argument, variables, depth + 1))


def _exists(parts: Sequence[str], argument: Any, _variables: Variables, _depth: int) -> Matcher:
    def is_there(document: Document) -> bool:
        return any(value is not MISSING for value in paths.leaves(document, parts))

    return is_there if is_true(argument) else _negated(is_there)


def _element_match(parts: Sequence[str], argument: Any, variables: Variables, depth: int) -> Matcher:
    if not isinstance(argument, dict):
        raise BadValueError("$elemMatch needs an Object")
    if _is_operators(argument) and next(iter(argument)) not in ("$and", "$or", "$nor"):
        inner = _operators(["value"], argument, variables, depth + 1)

        def fits(element: Any) -> bool:
            # An element that is an array is compared whole here, not element by element.
            return inner({"value": element})

    else:
        match = compile_filter(argument, variables, depth + 1)

        def fits(element: Any) -> bool:
            return isinstance(element, dict) and match(element)

    return lambda document: any(
        type(value) is list and any(fits(element) for element in value) for value in paths.leaves(document, parts)
    )


def _all(parts: Sequence[str], argument: Any, variables: Variables, depth: int) -> Matcher:
    if not isinstance(argument, list):
        raise BadValueError("$all needs an array")
    tests = []
    for part in argument:
        if isinstance(part, dict) and "$elemMatch" in part:
            tests.append(_element_match(parts, part["$elemMatch"], variables, depth))
        else:
            tests.append(_any_leaf(parts, equals(part)))
    return lambda document: bool(tests) and all(test(document) for test in tests)


def _size(parts: Sequence[str], argument: Any, _variables: Variables, _depth: int) -> Matcher:
    size = as_whole(argument)
    if size is None or size < 0:
        raise FailedToParseError("$size needs a whole number that is not negative")
    return lambda document: any(type(value) is list and len(value) == size for value in paths.leaves(document, parts))


def _negated(test: Matcher) -> Matcher:
    return lambda document: not test(document)


def _regex(pattern: Any, options: Any) -> Regex[Any]:
    if isinstance(pattern, Regex):
        if options is None:
            return pattern
        pattern = pattern.pattern
    if not isinstance(pattern, str) or not isinstance(options, str | None):
        raise BadValueError("$regex has to be a string or a regex, and $options a string")
    flags = 0
    for letter in options or "":
        if letter not in "imsxu":
            msg = f"invalid flag in regex options: {letter}"
            raise BadValueError(msg)
        flags |= {"i": 2, "m": 8, "s": 16, "x": 64, "u": 32}[letter]
    return Regex(pattern, flags)


_SPECIAL: dict[str, Callable[[Sequence[str], Any, Variables, int], Matcher]] = {
    "$ne": _not_equal,
    "$nin": _not_in,
    "$not": _not,
    "$exists": _exists,
    "$elemMatch": _element_match,
    "$all": _all,
    "$size": _size,
}
