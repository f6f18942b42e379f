"""Whatever plan is chosen, a query finds what a look at every document finds."""

from typing import Any

import pytest
from bson import DatetimeMS, Int64, ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.embedded.mongo.collection import Collection, decode
from app.embedded.mongo.engine import Engine
from app.embedded.mongo.expressions import Variables
from app.embedded.mongo.indexes import check_spec
from app.embedded.mongo.ordering import order_key
from app.embedded.mongo.searching import Search, count, find, plan_of
from app.embedded.mongo.sorting import compile_sort

NOW = Variables(None)
INDEXES: list[dict[str, Any]] = [
    {"key": {"a": 1}},
    {"key": {"a": 1, "b": -1}},
    {"key": {"b": -1}},
    {"key": {"c.d": 1}, "sparse": True},
    {"key": {"b": 1, "a": -1}},
    {"key": {"c": 1}, "partialFilterExpression": {"a": 1}},
]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.sampled_from([0.0, 1.0, 1.5, -1.5, float("nan"), float("inf")]),
    st.sampled_from(["", "a", "b", "a\x00", "aa"]),
    st.sampled_from([Int64(1), Int64(2**60), ObjectId("0" * 24)]),
)
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.fixed_dictionaries({}, optional={"d": scalars}))
documents = st.lists(
    st.fixed_dictionaries(
        {}, optional={"a": scalars, "b": values, "c": st.one_of(values, st.lists(values, max_size=2))}
    ),
    max_size=12,
)
conditions = st.one_of(
    scalars,
    st.builds(
        lambda name, value: {name: value}, st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$eq", "$ne"]), scalars
    ),
    st.builds(lambda low, high: {"$gt": low, "$lte": high}, scalars, scalars),
    st.builds(lambda found: {"$in": found}, st.lists(scalars, max_size=3)),
    st.builds(lambda found: {"$exists": found}, st.booleans()),
)
queries = st.dictionaries(st.sampled_from(["a", "b", "c", "c.d", "_id"]), conditions, max_size=3)
sorts = st.lists(
    st.tuples(st.sampled_from(["a", "b", "_id", "c.d"]), st.sampled_from([1, -1])), max_size=2, unique_by=lambda p: p[0]
).map(dict)


def stored(path: Any, documents: list[dict[str, Any]], specs: list[dict[str, Any]]) -> Collection:
    engine = Engine(path)
    collection = engine.ensure("t", "x")
    for spec in specs:
        engine.create_index(collection, check_spec(spec))
    for number, document in enumerate(documents):
        collection.insert({"_id": number, **document})
    return collection


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents=documents, query=queries, sort=sorts, limit=st.integers(0, 3))
def test_an_indexed_query_finds_what_a_scan_finds(documents, query, sort, limit):
    scanned, indexed = stored(":memory:", documents, []), stored(":memory:", documents, INDEXES)
    search = Search(query, NOW, sort)

    expected = [decode(raw) for _, raw in find(scanned, search)]
    found = [decode(raw) for _, raw in find(indexed, search)]
    some = [decode(raw) for _, raw in find(indexed, Search(query, NOW, sort, 0, limit))]

    key = compile_sort(sort)
    assert sorted(order_key(one["_id"]) for one in found) == sorted(order_key(one["_id"]) for one in expected)
    assert [key(one) for one in found] == [key(one) for one in expected]
    assert [key(one) for one in some] == [key(one) for one in found][: limit or None]
    assert count(indexed, search) == len(expected)


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize(
    ("value", "condition"),
    [
        (float("inf"), {"$gt": 0}),
        (float("-inf"), {"$lt": 0}),
        ("", {"$lt": "a"}),
        ("\uffff", {"$gt": "a"}),
        (DatetimeMS(2**63 - 1), {"$gt": DatetimeMS(0)}),
        (DatetimeMS(-(2**63)), {"$lt": DatetimeMS(0)}),
        (True, {"$gt": False}),
        (ObjectId("f" * 24), {"$gt": ObjectId("0" * 24)}),
        (ObjectId("0" * 24), {"$lt": ObjectId("f" * 24)}),
    ],
)
def test_a_range_that_is_open_at_one_end_reaches_the_last_value_of_its_type(direction, value, condition):
    others = [{"a": None}, {"a": 5}, {"a": "b"}, {"a": True}, {"a": float("nan")}]
    indexed = stored(":memory:", [{"a": value}], [{"key": {"a": direction}}])
    crowded = stored(":memory:", [{"a": value}, *others], [{"key": {"a": direction}}])
    scanned = stored(":memory:", [{"a": value}, *others], [])
    search = Search({"a": condition}, NOW, {})

    assert count(indexed, search) == 1
    assert count(crowded, search) == count(scanned, search)


@pytest.mark.parametrize(
    ("query", "sort", "name"),
    [
        ({"a": 1}, {}, "a_1"),
        ({"a": {"$in": [1, 2]}}, {}, "a_1"),
        ({"a": {"$gt": 1}}, {}, "a_1"),
        ({"a": 1}, {"b": -1}, "a_1_b_-1"),
        ({"a": 1}, {"b": 1}, "a_1_b_-1"),
        ({"a": 1, "b": 2}, {}, "a_1_b_-1"),
        ({"$and": [{"a": 1}, {"b": 2}]}, {}, "a_1_b_-1"),
        ({}, {"b": -1}, "b_-1"),
        ({"_id": 1, "a": 1}, {}, "_id_"),
        ({}, {"_id": -1}, "_id_"),
    ],
)
def test_a_query_uses_the_index_that_fits_it_best(query, sort, name):
    collection = stored(":memory:", [{"a": 1, "b": 2}], INDEXES[:3])

    plan = plan_of(collection, Search(query, NOW, sort))

    assert plan.index is not None
    assert plan.index.name == name


@pytest.mark.parametrize(
    "query", [{"b": {"$ne": 1}}, {"$or": [{"a": 1}, {"b": 1}]}, {"a": {"$exists": True}}, {"z": 1}]
)
def test_a_query_that_no_index_can_answer_looks_at_every_document(query):
    collection = stored(":memory:", [{"a": 1, "b": 2}], INDEXES)

    assert plan_of(collection, Search(query, NOW, {})).index is None
