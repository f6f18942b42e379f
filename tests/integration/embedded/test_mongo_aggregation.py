"""Aggregation pipelines with a real PyMongo client."""

from datetime import UTC, datetime

import pytest
from bson import Decimal128
from pymongo.errors import OperationFailure

SALES = [
    {"_id": 1, "shop": "a", "amount": 10, "tags": ["x", "y"], "at": datetime(2024, 1, 1, 10, 30, tzinfo=UTC)},
    {"_id": 2, "shop": "b", "amount": 2.5, "tags": [], "at": datetime(2024, 1, 1, 23, 59, tzinfo=UTC)},
    {"_id": 3, "shop": "a", "amount": 5, "tags": ["x"], "at": datetime(2024, 1, 9, 0, 0, tzinfo=UTC)},
    {"_id": 4, "shop": None, "amount": None, "at": datetime(2024, 2, 1, 1, 1, tzinfo=UTC)},
]


@pytest.mark.parametrize(
    ("pipeline", "expected"),
    [
        ([{"$match": {"shop": "a"}}, {"$project": {"amount": 1}}], [{"_id": 1, "amount": 10}, {"_id": 3, "amount": 5}]),
        (
            [{"$sort": {"amount": -1}}, {"$limit": 1}, {"$unset": ["at", "tags"]}],
            [{"_id": 1, "shop": "a", "amount": 10}],
        ),
        ([{"$skip": 1}, {"$count": "n"}], [{"n": 3}]),
        (
            [
                {
                    "$group": {
                        "_id": "$shop",
                        "sum": {"$sum": "$amount"},
                        "n": {"$sum": 1},
                        "mean": {"$avg": "$amount"},
                        "low": {"$min": "$amount"},
                        "high": {"$max": "$amount"},
                        "all": {"$push": "$_id"},
                        "first": {"$first": "$_id"},
                        "last": {"$last": "$_id"},
                        "count": {"$count": {}},
                    }
                },
                {"$sort": {"_id": 1}},
            ],
            [
                {
                    "_id": None,
                    "sum": 0,
                    "n": 1,
                    "mean": None,
                    "low": None,
                    "high": None,
                    "all": [4],
                    "first": 4,
                    "last": 4,
                    "count": 1,
                },
                {
                    "_id": "a",
                    "sum": 15,
                    "n": 2,
                    "mean": 7.5,
                    "low": 5,
                    "high": 10,
                    "all": [1, 3],
                    "first": 1,
                    "last": 3,
                    "count": 2,
                },
                {
                    "_id": "b",
                    "sum": 2.5,
                    "n": 1,
                    "mean": 2.5,
                    "low": 2.5,
                    "high": 2.5,
                    "all": [2],
                    "first": 2,
                    "last": 2,
                    "count": 1,
                },
            ],
        ),
        (
            [
                {"$group": {"_id": {"$dateToString": {"date": "$at", "format": "%Y-%m-%d"}}, "n": {"$sum": 1}}},
                {"$sort": {"_id": 1}},
            ],
            [{"_id": "2024-01-01", "n": 2}, {"_id": "2024-01-09", "n": 1}, {"_id": "2024-02-01", "n": 1}],
        ),
        (
            [
                {"$match": {"_id": 3}},
                {
                    "$project": {
                        "_id": 0,
                        "week": {"$dateTrunc": {"date": "$at", "unit": "week"}},
                        "day": {"$dayOfWeek": "$at"},
                    }
                },
            ],
            [{"week": datetime(2024, 1, 7, tzinfo=UTC), "day": 3}],
        ),
        ([{"$unwind": "$tags"}, {"$sortByCount": "$tags"}], [{"_id": "x", "count": 2}, {"_id": "y", "count": 1}]),
        (
            [
                {"$unwind": {"path": "$tags", "preserveNullAndEmptyArrays": True, "includeArrayIndex": "i"}},
                {"$project": {"i": 1}},
            ],
            [{"_id": 1, "i": 0}, {"_id": 1, "i": 1}, {"_id": 2, "i": None}, {"_id": 3, "i": 0}, {"_id": 4, "i": None}],
        ),
        (
            [
                {"$match": {"_id": {"$lt": 3}}},
                {"$set": {"size": {"$cond": [{"$gt": ["$amount", 5]}, "big", "small"]}}},
                {"$replaceWith": {"k": {"$concat": ["$shop", "-", "$size"]}}},
            ],
            [{"k": "a-big"}, {"k": "b-small"}],
        ),
        (
            [
                {
                    "$facet": {
                        "n": [{"$count": "n"}],
                        "top": [{"$sort": {"_id": -1}}, {"$limit": 1}, {"$project": {"_id": 1}}],
                    }
                }
            ],
            [{"n": [{"n": 4}], "top": [{"_id": 4}]}],
        ),
        (
            [
                {"$match": {"_id": 1}},
                {
                    "$project": {
                        "_id": 0,
                        "m": {"$map": {"input": "$tags", "as": "t", "in": {"$toUpper": "$$t"}}},
                        "f": {"$filter": {"input": "$tags", "cond": {"$ne": ["$$this", "x"]}}},
                        "s": {"$size": "$tags"},
                        "l": {"$let": {"vars": {"v": 2}, "in": {"$multiply": ["$$v", "$amount"]}}},
                        "w": {
                            "$switch": {"branches": [{"case": {"$in": ["x", "$tags"]}, "then": "yes"}], "default": "no"}
                        },
                        "d": {"$divide": ["$amount", 4]},
                        "i": {"$ifNull": ["$none", "$shop"]},
                        "e": {"$arrayElemAt": ["$tags", -1]},
                    }
                },
            ],
            [{"m": ["X", "Y"], "f": ["y"], "s": 2, "l": 20, "w": "yes", "d": 2.5, "i": "a", "e": "y"}],
        ),
        (
            [
                {"$lookup": {"from": "shops", "localField": "shop", "foreignField": "code", "as": "found"}},
                {"$project": {"names": "$found.name"}},
            ],
            [
                {"_id": 1, "names": ["Alpha"]},
                {"_id": 2, "names": []},
                {"_id": 3, "names": ["Alpha"]},
                {"_id": 4, "names": []},
            ],
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_pipeline_answers_what_mongodb_answers(things, database, pipeline, expected):
    things.insert_many(SALES)
    database["shops"].insert_one({"code": "a", "name": "Alpha"})

    assert list(things.aggregate(pipeline)) == expected


def test_the_first_match_of_a_pipeline_and_count_documents_agree(things):
    things.create_index("shop")
    things.insert_many(SALES)

    assert things.count_documents({"shop": "a"}) == 2
    assert things.count_documents({"shop": "a"}, limit=1) == 1
    assert things.count_documents({"shop": {"$in": ["a", "b"]}}, skip=1) == 2
    assert things.count_documents({"shop": None}) == 1


def test_let_gives_a_pipeline_its_variables(things):
    things.insert_many(SALES)

    found = things.aggregate([{"$match": {"$expr": {"$eq": ["$shop", "$$wanted"]}}}], let={"wanted": "b"})

    assert [d["_id"] for d in found] == [2]


def test_decimals_are_summed_exactly(things):
    things.insert_many({"v": Decimal128("0.1")} for _ in range(10))

    assert list(things.aggregate([{"$group": {"_id": None, "sum": {"$sum": "$v"}}}])) == [
        {"_id": None, "sum": Decimal128("1.0")}
    ]


@pytest.mark.parametrize(
    ("pipeline", "code"),
    [
        ([{"$out": "x"}], 40324),
        ([{"$merge": "x"}], 40324),
        ([{"$changeStream": {}}], 40324),
        ([{"$geoNear": {}}], 40324),
        ([{"$foo": {}}], 40324),
        ([{"$match": {}, "$limit": 1}], 9),
        ([{"$limit": 0}], 9),
        ([{"$limit": -1}], 9),
        ([{"$skip": "1"}], 9),
        ([{"$group": {"n": {"$sum": 1}}}], 9),
        ([{"$group": {"_id": 1, "n": {"$stdDevPop": "$a"}}}], 115),
        ([{"$project": {"a": {"$function": {}}}}], 115),
        ([{"$project": {"a": "$$undefined"}}], 9),
        ([{"$project": {"a": 1, "b": 0}}], 9),
        ([{"$project": {"a": {"$add": [1, "$shop"]}}}], 14),
        ([{"$lookup": {"from": "x", "pipeline": [], "as": "y"}}], 115),
        ([{"$match": {"$where": "1"}}], 115),
        ([{"$set": {"t": {"$dateToString": {"date": "$at", "timezone": "Europe/Rome"}}}}], 115),
        ("no array", None),
    ],
    ids=str,
)
def test_a_pipeline_that_is_not_supported_is_refused(things, pipeline, code):
    things.insert_many(SALES)

    with pytest.raises((OperationFailure, TypeError)) as caught:
        list(things.aggregate(pipeline))

    assert getattr(caught.value, "code", None) == code
