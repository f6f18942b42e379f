"""The stages of an aggregation pipeline, each a function from documents to documents."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from bson import Int64

from app.embedded.mongo import paths
from app.embedded.mongo.arithmetic import as_whole
from app.embedded.mongo.errors import (
    BadValueError,
    CommandNotSupportedError,
    FailedToParseError,
    InvalidOptionsError,
    TypeMismatchError,
    UnknownStageError,
)
from app.embedded.mongo.expressions import Variables, compile_expression
from app.embedded.mongo.grouping import compile_group
from app.embedded.mongo.matching import compile_filter
from app.embedded.mongo.ordering import NULL_KEY, order_key
from app.embedded.mongo.paths import MISSING, Document
from app.embedded.mongo.projecting import Projection, assigned, compile_exclusion, compile_fields, compile_projection
from app.embedded.mongo.sorting import compile_sort, field_keys

Stage = Callable[[Iterator[Document]], Iterator[Document]]

MAX_STAGES = 1000
"""MongoDB's own limit."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a pipeline needs from outside: its variables, and the documents of another collection by name."""

    variables: Variables
    collection: Callable[[str], Iterator[Document]]


def compile_pipeline(pipeline: Any, around: Surroundings) -> Stage:
    """A function that runs the whole pipeline over the documents of a collection.

    Raises:
        UnknownStageError: a stage that this server does not have.
        CommandError: a stage is not well formed.
    """
    if not isinstance(pipeline, list):
        raise TypeMismatchError("'pipeline' must be an array")
    if len(pipeline) > MAX_STAGES:
        raise FailedToParseError("the pipeline has too many stages")
    stages = [_compile_stage(stage, around) for stage in pipeline]

    def run(documents: Iterator[Document]) -> Iterator[Document]:
        for stage in stages:
            documents = stage(documents)
        return documents

    return run


def compile_update_pipeline(pipeline: list[Any], variables: Variables) -> Projection:
    """A function that makes the new document; only stages that keep it one document are allowed.

    Raises:
        InvalidOptionsError: another stage.
    """
    allowed = {"$set", "$addFields", "$unset", "$project", "$replaceRoot", "$replaceWith"}
    steps = []
    for stage in pipeline:
        name, operand = _only_pair(stage)
        if name not in allowed:
            msg = f"{name} is not allowed to be used within an update"
            raise InvalidOptionsError(msg)
        steps.append(_MAPPERS[name](operand, variables))

    def update(document: Document) -> Document:
        for step in steps:
            document = step(document)
        return document

    return update


def _only_pair(stage: Any) -> tuple[str, Any]:
    if not isinstance(stage, dict) or len(stage) != 1:
        raise FailedToParseError("A pipeline stage specification object must contain exactly one field.")
    ((name, operand),) = stage.items()
    return name, operand


def _compile_stage(stage: Any, around: Surroundings) -> Stage:
    name, operand = _only_pair(stage)
    if name in _MAPPERS:
        mapper = _MAPPERS[name](operand, around.variables)
        return lambda documents: map(mapper, documents)
    if name not in _STAGES:
        msg = f"Unrecognized pipeline stage name: {name!r} (this server has {', '.join(sorted(STAGE_NAMES))})"
        raise UnknownStageError(msg)
    return _STAGES[name](operand, around)


def _match(operand: Any, around: Surroundings) -> Stage:
    test = compile_filter(operand, around.variables)
    return lambda documents: filter(test, documents)


def _sort(operand: Any, _around: Surroundings) -> Stage:
    key = compile_sort(operand)
    if not operand:
        raise BadValueError("$sort stage must have at least one sort key")
    return lambda documents: iter(sorted(documents, key=key))


def _limit(operand: Any, _around: Surroundings) -> Stage:
    count = _natural(operand, "$limit")
    if not count:
        raise FailedToParseError("the limit must be positive")
    return lambda documents: islice(documents, count)


def _skip(operand: Any, _around: Surroundings) -> Stage:
    count = _natural(operand, "$skip")
    return lambda documents: islice(documents, count, None)


def _natural(operand: Any, name: str) -> int:
    number = as_whole(operand)
    if number is None or number < 0:
        msg = f"{name} needs a whole number that is not negative"
        raise FailedToParseError(msg)
    return number


def _count(operand: Any, _around: Surroundings) -> Stage:
    if not isinstance(operand, str) or not operand or operand.startswith("$") or "." in operand:
        raise FailedToParseError("$count needs a field name without dollar and dot")

    def run(documents: Iterator[Document]) -> Iterator[Document]:
        count = sum(1 for _ in documents)
        if count:
            yield {operand: count}

    return run


def _unwind(operand: Any, _around: Surroundings) -> Stage:
    options = {"path": operand} if isinstance(operand, str) else operand
    if not isinstance(options, dict) or not set(options) <= {
        "path",
        "includeArrayIndex",
        "preserveNullAndEmptyArrays",
    }:
        raise FailedToParseError("$unwind needs a path, includeArrayIndex, preserveNullAndEmptyArrays")
    path = options.get("path")
    if not isinstance(path, str) or not path.startswith("$"):
        raise FailedToParseError("the path of $unwind must begin with a dollar")
    parts = paths.split(path[1:])
    index_name = options.get("includeArrayIndex")
    keeps_empty = bool(options.get("preserveNullAndEmptyArrays"))

    def run(documents: Iterator[Document]) -> Iterator[Document]:
        for document in documents:
            value = paths.get(document, parts)
            if isinstance(value, list) and value:
                for index, element in enumerate(value):
                    yield _with(document, parts, element, index_name, index)
            elif value in (MISSING, None, []):
                if keeps_empty:
                    yield _with(document, parts, MISSING if value == [] else value, index_name, None)
            else:
                yield _with(document, parts, value, index_name, None)

    return run


def _with(document: Document, parts: list[str], value: Any, index_name: str | None, index: int | None) -> Document:
    new = dict(document)
    holder = new
    for part in parts[:-1]:
        if part not in holder:
            break
        holder[part] = dict(holder[part])
        holder = holder[part]
    else:
        if value is MISSING:
            holder.pop(parts[-1], None)
        else:
            holder[parts[-1]] = value
    if index_name:
        new[index_name] = None if index is None else Int64(index)
    return new


def _group(operand: Any, around: Surroundings) -> Stage:
    return compile_group(operand, around.variables)


def _sort_by_count(operand: Any, around: Surroundings) -> Stage:
    group = compile_group({"_id": operand, "count": {"$sum": 1}}, around.variables)
    return lambda documents: iter(sorted(group(documents), key=lambda found: -found["count"]))


def _replace_root(operand: Any, variables: Variables) -> Projection:
    if not isinstance(operand, dict) or set(operand) != {"newRoot"}:
        raise FailedToParseError("$replaceRoot needs a newRoot")
    return _replace_with(operand["newRoot"], variables)


def _replace_with(operand: Any, variables: Variables) -> Projection:
    value = compile_expression(operand, variables)

    def replace(document: Document) -> Document:
        new = value(document)
        if not isinstance(new, dict):
            raise BadValueError("the new root must be a document")
        return new

    return replace


def _lookup(operand: Any, around: Surroundings) -> Stage:
    wanted = {"from", "localField", "foreignField", "as"}
    if not isinstance(operand, dict) or set(operand) != wanted:
        raise CommandNotSupportedError("$lookup is supported with from, localField, foreignField and as")
    if not all(isinstance(value, str) for value in operand.values()):
        raise FailedToParseError("the arguments of $lookup must be strings")
    local, foreign = paths.split(operand["localField"]), paths.split(operand["foreignField"])
    target = paths.split(operand["as"])

    def run(documents: Iterator[Document]) -> Iterator[Document]:
        found: dict[bytes, list[tuple[int, Document]]] = {}
        for number, other in enumerate(around.collection(operand["from"])):
            for key in field_keys(other, foreign)[0]:
                found.setdefault(key, []).append((number, other))
        for document in documents:
            matches = dict(match for key in _local_keys(document, local) for match in found.get(key, ()))
            yield assigned(document, target, [matches[number] for number in sorted(matches)])

    return run


def _local_keys(document: Document, parts: list[str]) -> set[bytes]:
    keys: set[bytes] = set()
    for value in paths.leaves(document, parts):
        if isinstance(value, list):
            keys.update(order_key(element) for element in value)
        else:
            keys.add(NULL_KEY if value is MISSING else order_key(value))
    return keys


def _facet(operand: Any, around: Surroundings) -> Stage:
    if not isinstance(operand, dict) or not operand:
        raise FailedToParseError("$facet needs a document of pipelines")
    pipelines = {name: compile_pipeline(part, around) for name, part in operand.items()}

    def run(documents: Iterator[Document]) -> Iterator[Document]:
        everything = list(documents)
        yield {name: list(part(iter(everything))) for name, part in pipelines.items()}

    return run


def _project(operand: Any, variables: Variables) -> Projection:
    if not operand:
        raise FailedToParseError("$project needs at least one field")
    return compile_projection(operand, variables, in_find=False)


_MAPPERS: dict[str, Callable[[Any, Variables], Projection]] = {
    "$project": _project,
    "$set": compile_fields,
    "$addFields": compile_fields,
    "$unset": lambda operand, _: compile_exclusion(operand),
    "$replaceRoot": _replace_root,
    "$replaceWith": _replace_with,
}

_STAGES: dict[str, Callable[[Any, Surroundings], Stage]] = {
    "$match": _match,
    "$sort": _sort,
    "$limit": _limit,
    "$skip": _skip,
    "$count": _count,
    "$unwind": _unwind,
    "$group": _group,
    "$sortByCount": _sort_by_count,
    "$lookup": _lookup,
    "$facet": _facet,
}

STAGE_NAMES = frozenset(_MAPPERS) | frozenset(_STAGES)
"""Every stage this server has."""
