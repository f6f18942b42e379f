"""Finding the documents of a query: plan, filter, sort, skip, limit."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from app.embedded.mongo.collection import Collection, Row, decode
from app.embedded.mongo.errors import BadValueError, CommandNotSupportedError
from app.embedded.mongo.expressions import Variables
from app.embedded.mongo.indexes import Index
from app.embedded.mongo.matching import compile_filter
from app.embedded.mongo.paths import Document
from app.embedded.mongo.planning import Plan, choose
from app.embedded.mongo.sorting import compile_sort, directions

_CHECK_EVERY = 256


@dataclass(frozen=True, slots=True)
class Search:
    """What to find.

    Attributes:
        query: a filter.
        sort: a document of 1 and -1.
        skip: how many of the first to leave out.
        limit: the most to find; 0 for all.
        hint: the name or the key of the index to use.
        check_time: called now and then; it raises when the time is over.
    """

    query: Document
    variables: Variables
    sort: Document
    skip: int = 0
    limit: int = 0
    hint: Any = None
    check_time: Callable[[], None] = lambda: None


def check(search: Search) -> None:
    """Compile the filter and the sort, so that a wrong one is an error also when the collection is missing.

    Raises:
        CommandError: one is not understood.
    """
    compile_filter(search.query, search.variables)
    compile_sort(search.sort)


def find(collection: Collection, search: Search) -> Iterator[Row]:
    """The matching documents with their numbers, in the order that was asked for.

    Raises:
        CommandError: the query, the sort or the hint is not understood.
    """
    matches = compile_filter(search.query, search.variables)
    plan = plan_of(collection, search)
    rows = _filtered(collection.rows(plan), None if plan.is_exact else matches, search)
    end = search.skip + search.limit if search.limit else None
    if plan.is_sorted:
        return islice(rows, search.skip, end)
    return _sorted(collection, rows, search, end)


def count(collection: Collection, search: Search) -> int:
    """How many documents match, within skip and limit; from the index alone where that is exact."""
    plan = plan_of(collection, search)
    if plan.is_exact:
        compile_filter(search.query, search.variables)
        found = max(0, collection.count(plan) - search.skip)
        return min(found, search.limit) if search.limit else found
    return sum(1 for _ in find(collection, search))


def plan_of(collection: Collection, search: Search) -> Plan:
    """How the documents will be found.

    Raises:
        BadValueError: the hint names no index.
    """
    order = directions(search.sort)
    if list(search.sort) == ["$natural"]:
        raise CommandNotSupportedError("sorting by $natural is not supported by this server")
    indexes = collection.indexes
    if search.hint not in (None, {}, ""):
        indexes = _hinted(collection, search.hint)
    return choose(search.query, order, indexes)


def _hinted(collection: Collection, hint: Any) -> list[Index]:
    if hint == {"$natural": 1}:
        return []
    for index in collection.indexes:
        if hint == index.name or (isinstance(hint, dict) and list(hint.items()) == list(index.spec["key"].items())):
            return [index]
    raise BadValueError(
        "error processing query: planner returned error: hint provided does not correspond to an existing index"
    )


def _filtered(rows: Iterator[Row], matches: Callable[[Document], bool] | None, search: Search) -> Iterator[Row]:
    for number, row in enumerate(rows):
        if number % _CHECK_EVERY == 0:
            search.check_time()
        if matches is None or matches(decode(row[1])):
            yield row


def _sorted(collection: Collection, rows: Iterator[Row], search: Search, end: int | None) -> Iterator[Row]:
    key = compile_sort(search.sort)
    # Only keys and numbers are held, not the documents, whatever their size.
    keyed = ((key(decode(raw)), seq) for seq, raw in rows)
    ordered = sorted(keyed) if end is None else heapq.nsmallest(end, keyed)
    for _, seq in ordered[search.skip :]:
        row = collection.row(seq)
        if row is not None:
            yield row
