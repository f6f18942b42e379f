"""Updates: what a document becomes.

An update is compiled once and applied to each document that the filter finds. Nothing is stored until
the whole update of a document went well, so a document is changed by all operators or by none.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from bson import ObjectId

from app.embedded.mongo import paths
from app.embedded.mongo.errors import (
    CommandNotSupportedError,
    ConflictingUpdateOperatorsError,
    DollarPrefixedFieldNameError,
    FailedToParseError,
    ImmutableFieldError,
)
from app.embedded.mongo.expressions import Variables
from app.embedded.mongo.modifiers import MODIFIERS, Modifier
from app.embedded.mongo.ordering import order_key
from app.embedded.mongo.paths import MISSING, Document
from app.embedded.mongo.stages import compile_update_pipeline

_ON_INSERT = "$setOnInsert"


class Update:
    """A compiled update: operators, a whole replacement, or a pipeline.

    Args:
        spec: the update as the client sent it.
        variables: the command's time and `let`.

    Raises:
        CommandError: unknown operators, conflicting paths, or operands that cannot be used.
    """

    def __init__(self, spec: Any, variables: Variables) -> None:
        self._steps: list[tuple[list[str], Modifier, bool]] = []
        self._pipeline: Callable[[Document], Document] | None = None
        self._replacement: Document | None = None
        if isinstance(spec, list):
            self._pipeline = compile_update_pipeline(spec, variables)
        elif not isinstance(spec, dict):
            raise FailedToParseError("an update must be a document or a pipeline")
        elif spec and next(iter(spec)).startswith("$"):
            self._compile(spec, variables)
        else:
            refuse_dollar_names(spec)
            self._replacement = spec

    @property
    def is_replacement(self) -> bool:
        """True when the whole document is replaced, which cannot be done to many."""
        return self._replacement is not None

    def apply(self, document: Document, *, is_insert: bool = False) -> Document:
        """What `document` becomes; it may be changed itself.

        Raises:
            ImmutableFieldError: `_id` would change.
            CommandError: an operator does not fit the value it finds.
        """
        old_id = document.get("_id", MISSING)
        old_key = None if old_id is MISSING else order_key(old_id)
        if self._replacement is not None:
            head = {} if old_id is MISSING else {"_id": old_id}
            new = head | self._replacement
        elif self._pipeline is not None:
            new = self._pipeline(document)
            refuse_dollar_names(new)
        else:
            new = document
            for parts, modifier, only_on_insert in self._steps:
                if is_insert or not only_on_insert:
                    modifier(new, parts)
        new_id = new.get("_id", MISSING)
        if old_key is not None and (new_id is MISSING or order_key(new_id) != old_key):
            raise ImmutableFieldError("Performing an update on the path '_id' would modify the immutable field '_id'")
        return new

    def insertion(self, query: Document) -> Document:
        """The document that an upsert inserts when nothing matched `query`; `_id` is its first field."""
        seed: Document = {}
        for path, value in _equalities(query):
            if self._replacement is None or path == "_id":
                paths.put(seed, paths.split(path), value)
        new = self.apply(seed, is_insert=True)
        identity = new.pop("_id", MISSING)
        return {"_id": ObjectId() if identity is MISSING else identity, **new}

    def _compile(self, spec: dict[str, Any], variables: Variables) -> None:
        steps: dict[str, tuple[list[str], Modifier, bool]] = {}
        for operator, fields in spec.items():
            if operator not in MODIFIERS:
                msg = f"Unknown modifier: {operator}"
                raise FailedToParseError(msg)
            if not isinstance(fields, dict):
                msg = f"Modifiers operate on fields but {operator} has {type(fields).__name__}"
                raise FailedToParseError(msg)
            for path, operand in fields.items():
                parts = _update_path(path)
                modifier, also = MODIFIERS[operator](path, operand, variables)
                for touched in (path, *also):
                    if touched in steps:
                        raise _conflict(touched)
                    steps[touched] = (parts, modifier if touched == path else _nothing, operator == _ON_INSERT)
        # MongoDB 5 and later work through the paths in this order; new fields come in it too.
        for path in sorted(steps, key=lambda name: name.split(".")):
            self._steps.append(steps[path])
        ordered = sorted(name.split(".") for name in steps)
        for first, second in pairwise(ordered):
            if second[: len(first)] == first:
                raise _conflict(".".join(first))


def refuse_dollar_names(document: Document) -> None:
    """Check the names of the top level of a document that shall be stored.

    Raises:
        DollarPrefixedFieldNameError: a name begins with a dollar sign.
    """
    for name in document:
        if name.startswith("$"):
            msg = f"The dollar ($) prefixed field {name!r} is not allowed in a stored document"
            raise DollarPrefixedFieldNameError(msg)


def _nothing(document: Document, parts: list[str]) -> None:
    """Hold the place of a path that another step changes, so that conflicts are seen."""


def _conflict(path: str) -> ConflictingUpdateOperatorsError:
    return ConflictingUpdateOperatorsError(f"Updating the path '{path}' would create a conflict at '{path}'")


def _update_path(path: str) -> list[str]:
    parts = paths.split(path)
    if any(part == "$" or part.startswith("$[") for part in parts):
        raise CommandNotSupportedError("positional operators in updates are not supported by this server")
    for part in parts:
        if part.startswith("$") and part not in ("$ref", "$id", "$db"):
            msg = f"The dollar ($) prefixed field {part!r} in {path!r} is not allowed in an update"
            raise DollarPrefixedFieldNameError(msg)
    return parts


def _equalities(query: Document) -> list[tuple[str, Any]]:
    """The fields that a filter fixes to one value, which an upsert takes over."""
    found = []
    for name, operand in query.items():
        if name == "$and" or (name == "$or" and len(operand) == 1):
            found += [pair for part in operand for pair in _equalities(part)]
        elif name.startswith("$"):
            continue
        elif isinstance(operand, dict) and next(iter(operand), "").startswith("$"):
            if "$eq" in operand:
                found.append((name, operand["$eq"]))
            elif "$in" in operand and len(operand["$in"]) == 1:
                found.append((name, operand["$in"][0]))
        else:
            found.append((name, operand))
    return found
