"""Which index a query uses, and the ranges of its keys that hold every document that may match.

A plan finds a superset: the filter is still asked about each document, unless the plan says that it is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from bson import DatetimeMS, Decimal128, Int64, ObjectId, Regex

from app.embedded.mongo.indexes import Index
from app.embedded.mongo.ordering import NAN_KEY, next_type, order_key, type_of
from app.embedded.mongo.paths import Document
from app.embedded.mongo.sorting import descending

MAX_RANGES = 5000
"""Above this many combinations of `$in` values the first field alone is used."""

_AFTER = b"\xff"
"""Appended to a key it is above every key that begins with it: no type byte is 0xff."""

_EXACT_TYPES = (str, ObjectId, bool, int, Int64, float, Decimal128, DatetimeMS)
Range = tuple[bytes, bytes]


@dataclass(slots=True)
class _Bounds:
    """What a query says about one path."""

    points: list[bytes] | None = None
    low: tuple[bytes, bool] | None = None
    high: tuple[bytes, bool] | None = None
    clauses: int = 0


@dataclass(slots=True)
class _Constraints:
    paths: dict[str, _Bounds] = field(default_factory=dict)
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """How to find the documents.

    Attributes:
        index: None for all documents in their natural order.
        ranges: from and up to (not with) of the index's keys.
        is_sorted: the index gives the order that was asked for.
        is_backward: the index is read from its end.
        is_exact: every document in the ranges matches, each once.
    """

    index: Index | None
    ranges: tuple[Range, ...] = ()
    is_sorted: bool = False
    is_backward: bool = False
    is_exact: bool = False
    score: int = 0


def choose(query: Document, order: Sequence[tuple[str, bool]], indexes: Sequence[Index]) -> Plan:
    """The best plan for a query that was already checked, and a sort (path, is descending)."""
    constraints = _Constraints()
    _collect(query, constraints)
    best = Plan(None, is_sorted=not order, is_exact=not query)
    for index in indexes:
        plan = _plan(index, query, constraints, order)
        if plan is not None and plan.score > best.score:
            best = plan
    return best


def _collect(query: Document, found: _Constraints) -> None:
    for name, operand in query.items():
        if name == "$and":
            for part in operand:
                _collect(part, found)
        elif name.startswith("$"):
            found.is_exact = found.is_exact and name == "$comment"
        elif isinstance(operand, dict) and next(iter(operand), "").startswith("$"):
            for operator, argument in operand.items():
                _note(found, found.paths.setdefault(name, _Bounds()), operator, argument)
        else:
            _note(found, found.paths.setdefault(name, _Bounds()), "$eq", operand)


def _note(found: _Constraints, bounds: _Bounds, operator: str, argument: Any) -> None:
    bounds.clauses += 1
    if operator == "$in":
        values = argument
    elif operator == "$eq":
        values = [argument]
    else:
        values = []
        _note_range(found, bounds, operator, argument)
        return
    if any(isinstance(value, list | Regex) for value in values):
        found.is_exact = False
        return
    found.is_exact = found.is_exact and all(type(value) in _EXACT_TYPES for value in values)
    if bounds.points is None:
        bounds.points = list(dict.fromkeys(order_key(value) for value in values))
    else:
        found.is_exact = False


def _note_range(found: _Constraints, bounds: _Bounds, operator: str, argument: Any) -> None:
    if operator not in ("$gt", "$gte", "$lt", "$lte") or type(argument) not in _EXACT_TYPES:
        found.is_exact = False
        return
    key = order_key(argument)
    if key == NAN_KEY:
        found.is_exact = False
        return
    is_low = operator in ("$gt", "$gte")
    limit = (key, operator in ("$gte", "$lte"))
    if (bounds.low if is_low else bounds.high) is not None:
        found.is_exact = False
    elif is_low:
        bounds.low = limit
    else:
        bounds.high = limit


def _plan(index: Index, query: Document, found: _Constraints, order: Sequence[tuple[str, bool]]) -> Plan | None:
    if not _is_usable(index, query, found):
        return None
    prefixes, used, has_range = _prefixes(index, found)
    fixed = {path for path, _, _ in index.fields[: used - has_range] if len(found.paths[path].points or ()) == 1}
    is_single = len(prefixes) == 1 and (has_range or len(fixed) == used)
    direction = None
    if not index.is_multikey and is_single and index.partial is None:
        direction = _direction(index, fixed, order)
    if used == 0 and (direction is None or not order or index.is_sparse):
        return None
    bound = {path for path, _, _ in index.fields[:used]}
    is_exact = found.is_exact and not index.is_multikey and bound == set(found.paths) and not _mixed(found)
    points = used - has_range
    is_identity = index.number == 0 and points == 1
    return Plan(
        index=index,
        ranges=tuple(prefixes),
        is_sorted=not order or direction is not None,
        is_backward=direction == -1,
        is_exact=is_exact,
        score=1000 * is_identity + 4 * points + 2 * has_range + (direction is not None),
    )


def _mixed(found: _Constraints) -> bool:
    """True when a path has both points and limits, or limits of two types: only the filter can tell."""
    for bounds in found.paths.values():
        if bounds.points is not None and (bounds.low or bounds.high):
            return True
        if bounds.low and bounds.high and type_of(bounds.low[0]) != type_of(bounds.high[0]):
            return True
    return False


def _is_usable(index: Index, query: Document, found: _Constraints) -> bool:
    partial = index.spec.get("partialFilterExpression")
    if partial is not None:
        # Only a query that repeats the index's own condition is sure to stay within it.
        return all(name in query and order_key(query[name]) == order_key(part) for name, part in partial.items())
    if not index.is_sparse:
        return True
    # A sparse index lacks documents without the fields, which match null and negations alone.
    return any(_excludes_missing(found.paths.get(path)) for path, _, _ in index.fields)


def _excludes_missing(bounds: _Bounds | None) -> bool:
    if bounds is None:
        return False
    null = order_key(None)
    return bool(bounds.low or bounds.high or (bounds.points and null not in bounds.points))


def _prefixes(index: Index, found: _Constraints) -> tuple[list[Range], int, int]:
    """The key ranges, how many fields they bound, and 1 if the last is bounded by a range."""
    columns: list[list[bytes]] = []
    tail: Range | None = None
    combinations = 1
    for path, _, is_descending in index.fields:
        bounds = found.paths.get(path)
        if bounds is None:
            break
        if bounds.points is not None and (not columns or combinations * len(bounds.points) <= MAX_RANGES):
            combinations *= len(bounds.points)
            columns.append([descending(key) if is_descending else key for key in bounds.points])
            continue
        tail = _limits(bounds, is_descending=is_descending, is_multikey=index.is_multikey)
        break
    heads = [b"".join(parts) for parts in product(*columns)]
    if tail is not None:
        return [(head + tail[0], head + tail[1]) for head in heads], len(columns) + 1, 1
    return [(head, head + _AFTER) for head in heads], len(columns), 0


def _limits(bounds: _Bounds, *, is_descending: bool, is_multikey: bool) -> Range | None:
    low, high = bounds.low, bounds.high
    if low is None and high is None:
        return None
    if is_multikey and low is not None:
        high = None  # one element may be above the low limit and another below the high one
    known = low or high
    bracket = known[0][:1] if known else b""
    # NaN stands before all other numbers, and is in no range.
    start, starts_with = low or ((NAN_KEY, False) if bracket == NAN_KEY[:1] else (bracket, True))
    end, ends_with = high or (bracket, True)
    if not is_descending:
        after = end + _AFTER if ends_with else end
        return (start if starts_with else start + _AFTER, after if high else next_type(bracket))
    first, last = descending(end), descending(start)
    after = last + _AFTER if starts_with else last
    return (first if ends_with else first + _AFTER, next_type(last) if start == bracket else after)


def _direction(index: Index, fixed: set[str], order: Sequence[tuple[str, bool]]) -> int | None:
    """1 or -1 when reading the index forward or backward gives the order, None when it does not."""
    wanted = [(path, is_descending) for path, is_descending in order if path not in fixed]
    own = [(path, is_descending) for path, _, is_descending in index.fields if path not in fixed]
    if len(wanted) > len(own):
        return None
    turns = set()
    for (path, is_descending), (own_path, own_descending) in zip(wanted, own, strict=False):
        if path != own_path:
            return None
        turns.add(1 if is_descending == own_descending else -1)
    if len(turns) > 1:
        return None
    return turns.pop() if turns else 1
