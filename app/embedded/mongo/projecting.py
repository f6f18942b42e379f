"""Projections: which fields of a document are answered, and which are computed."""

from collections.abc import Callable
from typing import Any

from app.embedded.mongo import paths
from app.embedded.mongo.errors import CommandNotSupportedError, FailedToParseError
from app.embedded.mongo.expressions import Expression, Variables, compile_expression
from app.embedded.mongo.paths import MISSING, Document

Projection = Callable[[Document], Document]
_Tree = dict[str, "bool | _Tree"]

_ONLY_IN_FIND = {"$slice", "$elemMatch", "$meta"}


def compile_projection(spec: Any, variables: Variables, *, in_find: bool) -> Projection:
    """A function that answers the projected copy of a document.

    Args:
        spec: a document of 1 and 0, of nested ones, and of expressions.
        variables: the command's time and `let`.
        in_find: true for the projection of a query, false for a `$project` stage.

    Raises:
        FailedToParseError: inclusion and exclusion are mixed, or two paths collide.
        CommandNotSupportedError: `$slice`, `$elemMatch`, `$meta` or a positional `$` in a query.
    """
    if not isinstance(spec, dict):
        raise FailedToParseError("a projection must be a document")
    flags: dict[str, bool] = {}
    computed: dict[str, Expression] = {}
    _flatten(spec, "", flags, computed, variables, in_find=in_find)
    if not flags and not computed:
        return lambda document: document
    kinds = {is_included for path, is_included in flags.items() if path != "_id"}
    if len(kinds) == 2 or (computed and False in kinds):
        raise FailedToParseError("a projection cannot mix inclusion and exclusion")
    # With nothing but _id, or _id and expressions, its own flag decides.
    is_inclusion = kinds.pop() if kinds else bool(computed) or flags.get("_id", True)
    _refuse_collisions([*flags, *computed])
    if not is_inclusion:
        tree = _tree([path for path, is_included in flags.items() if not is_included])
        return lambda document: _exclude(document, tree)
    included = [path for path, is_included in flags.items() if is_included]
    if flags.get("_id", True) and "_id" not in computed and "_id" not in flags:
        included.append("_id")
    return _inclusion(_tree(included), computed)


def compile_fields(spec: Any, variables: Variables) -> Projection:
    """`$set` and `$addFields`: the document with computed fields added or replaced."""
    if not isinstance(spec, dict) or not spec:
        raise FailedToParseError("$addFields needs a document with a field")
    computed = {path: compile_expression(part, variables) for path, part in spec.items()}
    _refuse_collisions(list(computed))
    split = [(paths.split(path), part) for path, part in computed.items()]

    def add(document: Document) -> Document:
        # All are computed from the document as it came, before any is set.
        values = [(parts, part(document)) for parts, part in split]
        new = dict(document)
        for parts, value in values:
            new = assigned(new, parts, value)
        return new

    return add


def compile_exclusion(names: Any) -> Projection:
    """`$unset`: the document without the named fields."""
    listed = names if isinstance(names, list) else [names]
    if not listed or not all(isinstance(name, str) and not name.startswith("$") for name in listed):
        raise FailedToParseError("$unset needs a field name, or an array of them")
    _refuse_collisions(listed)
    tree = _tree(listed)
    return lambda document: _exclude(document, tree)


def _flatten(
    spec: dict[str, Any],
    prefix: str,
    flags: dict[str, bool],
    computed: dict[str, Expression],
    variables: Variables,
    *,
    in_find: bool,
) -> None:
    for name, value in spec.items():
        path = prefix + name
        if name == "$" or name.endswith(".$") or name.startswith("$"):
            raise CommandNotSupportedError("positional and $-named projections are not supported by this server")
        paths.split(path)
        if isinstance(value, bool | int | float):
            flags[path] = bool(value)
        elif isinstance(value, dict) and value and not next(iter(value)).startswith("$"):
            _flatten(value, path + ".", flags, computed, variables, in_find=in_find)
        elif in_find and isinstance(value, dict) and _ONLY_IN_FIND & set(value):
            msg = f"{next(iter(value))} in a projection is not supported by this server"
            raise CommandNotSupportedError(msg)
        elif value == {}:
            raise FailedToParseError("an empty document is no projection")
        else:
            computed[path] = compile_expression(value, variables)


def _refuse_collisions(names: list[str]) -> None:
    ordered = sorted(name.split(".") for name in names)
    for index, parts in enumerate(ordered[1:]):
        before = ordered[index]
        if parts[: len(before)] == before:
            msg = f"Path collision at {'.'.join(parts)}"
            raise FailedToParseError(msg)


def _tree(names: list[str]) -> _Tree:
    tree: _Tree = {}
    for name in names:
        *holders, last = paths.split(name)
        node = tree
        for part in holders:
            inner = node.setdefault(part, {})
            if isinstance(inner, bool):
                raise FailedToParseError("Path collision")
            node = inner
        node[last] = True
    return tree


def _inclusion(tree: _Tree, computed: dict[str, Expression]) -> Projection:
    split = [(paths.split(path), part) for path, part in computed.items()]

    def project(document: Document) -> Document:
        new: Document = _include(document, tree)
        for parts, part in split:
            new = assigned(new, parts, part(document))
        return new

    return project


def _include(value: Any, tree: _Tree) -> Any:
    if isinstance(value, list):
        return [_include(element, tree) for element in value if isinstance(element, dict | list)]
    new = {}
    for name, part in value.items():
        wanted = tree.get(name)
        if wanted is True:
            new[name] = part
        elif isinstance(wanted, dict) and isinstance(part, dict | list):
            new[name] = _include(part, wanted)
    return new


def _exclude(value: Any, tree: _Tree) -> Any:
    if isinstance(value, list):
        return [_exclude(element, tree) for element in value]
    if not isinstance(value, dict):
        return value
    new = {}
    for name, part in value.items():
        unwanted = tree.get(name)
        if unwanted is None:
            new[name] = part
        elif isinstance(unwanted, dict):
            new[name] = _exclude(part, unwanted)
    return new


def assigned(holder: Any, parts: list[str], value: Any) -> Any:
    """A copy of `holder` with the value at the path, in each element where an array is on the way."""
    if isinstance(holder, list):
        return [assigned(element, parts, value) for element in holder]
    new = dict(holder) if isinstance(holder, dict) else {}
    name = parts[0]
    if len(parts) > 1:
        new[name] = assigned(new.get(name), parts[1:], value)
    elif value is MISSING:
        new.pop(name, None)
    else:
        new[name] = value
    return new
