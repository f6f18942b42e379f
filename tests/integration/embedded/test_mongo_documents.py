"""Inserting, finding, counting and removing documents with a real PyMongo client."""

from datetime import UTC, datetime, timedelta, timezone

import pymongo
import pytest
from bson import (
    Binary,
    Code,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure

FRUIT = [
    {"_id": 1, "name": "apple", "price": 3, "tags": ["red", "sweet"], "from": {"land": "NL", "km": 12}},
    {"_id": 2, "name": "banana", "price": 1.5, "tags": ["yellow"], "from": {"land": "EC", "km": 9500}},
    {"_id": 3, "name": "cherry", "price": Decimal128("7.25"), "tags": [], "from": {"land": "TR"}},
    {"_id": 4, "name": "Date", "price": None, "tags": ["sweet", "brown"], "parts": [{"n": 1}, {"n": 5}]},
    {"_id": 5, "name": "elderberry", "tags": "black", "parts": [{"n": 3, "k": True}]},
]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -1,
        2**31 - 1,
        Int64(5),
        2**63 - 1,
        -(2**63),
        1.5,
        float("inf"),
        "",
        "ü\U0001f600",
        "a\x00b",
        b"",
        b"\x00\xff",
        Binary(b"12", 5),
        ObjectId("0123456789abcdef01234567"),
        Decimal128("0.1"),
        Decimal128("1E-6000"),
        Regex("^a.*b$", "im"),
        Timestamp(7, 8),
        MinKey(),
        MaxKey(),
        Code("x = 1"),
        [],
        {},
        [[1, [2, {}]], None],
        {"z": 1, "a": {"y": [], "b": 2}},
        datetime(2024, 2, 29, 12, 30, 15, 123000, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
    ],
    ids=repr,
)
def test_a_value_comes_back_as_it_was(things, value):
    things.insert_one({"_id": "x", "value": value})

    found = things.find_one({"_id": "x"})["value"]

    assert found == value
    assert type(found) is type(value) or isinstance(value, int)
    assert repr(found) == repr(value) or isinstance(value, datetime | int | Code | Regex)


def test_the_order_of_fields_is_kept_and_the_id_comes_first(things):
    things.insert_one({"z": 1, "a": 2, "_id": 7, "m": {"y": 1, "b": 2}})

    found = things.find_one()

    assert list(found) == ["_id", "z", "a", "m"]
    assert list(found["m"]) == ["y", "b"]


def test_a_date_keeps_milliseconds_and_loses_its_zone(things):
    when = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=timezone(timedelta(hours=2)))

    things.insert_one({"_id": 1, "at": when})

    assert things.find_one()["at"] == when.replace(microsecond=123000).astimezone(UTC)
    assert things.count_documents({"at": {"$lte": when}}) == 1


def test_int32_and_int64_stay_what_they_are(things):
    things.insert_many([{"_id": 1, "n": 5}, {"_id": 2, "n": Int64(5)}, {"_id": 3, "n": 5.0}])

    found = {
        kind: [d["_id"] for d in things.find({"n": {"$type": kind}})] for kind in ("int", "long", "double", "number")
    }

    assert found == {"int": [1], "long": [2], "double": [3], "number": [1, 2, 3]}
    assert things.count_documents({"n": 5}) == 3


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"name": "apple"}, [1]),
        ({"name": {"$regex": "^d", "$options": "i"}}, [4]),
        ({"name": Regex("rr")}, [3, 5]),
        ({"price": {"$gt": 1}}, [1, 2, 3]),
        ({"price": {"$gte": 1.5, "$lt": 7.25}}, [1, 2]),
        ({"price": Decimal128("7.250")}, [3]),
        ({"price": None}, [4, 5]),
        ({"price": {"$exists": False}}, [5]),
        ({"price": {"$ne": 3}}, [2, 3, 4, 5]),
        ({"price": {"$in": [3, None]}}, [1, 4, 5]),
        ({"price": {"$nin": [3, None]}}, [2, 3]),
        ({"price": {"$not": {"$gt": 2}}}, [2, 4, 5]),
        ({"price": {"$type": ["double", "decimal"]}}, [2, 3]),
        ({"price": {"$mod": [2, 1]}}, [1, 2]),
        ({"tags": "sweet"}, [1, 4]),
        ({"tags": ["yellow"]}, [2]),
        ({"tags": []}, [3]),
        ({"tags": {"$size": 2}}, [1, 4]),
        ({"tags": {"$all": ["sweet", "red"]}}, [1]),
        ({"tags.0": "yellow"}, [2]),
        ({"from.land": "EC"}, [2]),
        ({"from": {"land": "TR"}}, [3]),
        ({"from": {"km": 12, "land": "NL"}}, []),
        ({"from.km": {"$exists": True}}, [1, 2]),
        ({"parts.n": 5}, [4]),
        ({"parts": {"$elemMatch": {"n": {"$gt": 2}, "k": True}}}, [5]),
        ({"parts.n": {"$gt": 1, "$lt": 3}}, [4]),
        ({"parts": {"$elemMatch": {"n": {"$gt": 1, "$lt": 3}}}}, []),
        ({"parts.k": 1}, []),
        ({"$or": [{"_id": 1}, {"name": "Date"}]}, [1, 4]),
        ({"$nor": [{"_id": {"$lt": 4}}]}, [4, 5]),
        ({"$and": [{"_id": {"$gt": 1}}, {"_id": {"$lt": 3}}]}, [2]),
        ({"$expr": {"$gt": ["$from.km", 100]}}, [2]),
        ({"_id": {"$in": [5, 1, 9]}}, [1, 5]),
        ({"_id": 1.0}, [1]),
        ({"_id": True}, []),
    ],
    ids=str,
)
def test_a_filter_finds_what_mongodb_finds(things, query, ids):
    things.insert_many(FRUIT)

    found = [document["_id"] for document in things.find(query).sort("_id", 1)]

    assert found == ids
    assert things.count_documents(query) == len(ids)


def test_values_of_all_types_sort_in_mongodbs_order(things):
    ordered = [
        MinKey(),
        None,
        -1,
        1.5,
        Decimal128("1.6"),
        Int64(2),
        "",
        "a",
        {},
        {"a": 1},
        [1],
        b"",
        b"a",
        ObjectId("0" * 24),
        False,
        True,
        datetime(2020, 1, 1, tzinfo=UTC),
        Timestamp(1, 1),
        Regex("a"),
        MaxKey(),
    ]
    things.insert_many({"_id": number, "v": {"x": value}} for number, value in reversed(list(enumerate(ordered))))

    found = [document["_id"] for document in things.find().sort("v", 1)]

    assert found == sorted(found)
    assert [document["_id"] for document in things.find().sort("v", -1)] == found[::-1]


@pytest.mark.parametrize(
    ("projection", "expected"),
    [
        ({"name": 1}, {"_id": 1, "name": "apple"}),
        ({"name": 1, "_id": 0}, {"name": "apple"}),
        ({"from.land": 1, "_id": 0}, {"from": {"land": "NL"}}),
        ({"tags": 0, "from": 0, "price": 0}, {"_id": 1, "name": "apple"}),
        (["price"], {"_id": 1, "price": 3}),
        ({"_id": 0, "twice": {"$multiply": ["$price", 2]}}, {"twice": 6}),
        ({"_id": 1}, {"_id": 1}),
    ],
    ids=str,
)
def test_a_projection_answers_the_chosen_fields(things, projection, expected):
    things.insert_many(FRUIT)

    assert things.find_one({"_id": 1}, projection) == expected


def test_distinct_answers_the_elements_of_arrays_one_by_one(things):
    things.insert_many(FRUIT)

    assert sorted(things.distinct("tags")) == ["black", "brown", "red", "sweet", "yellow"]
    assert sorted(things.distinct("from.land", {"_id": {"$lt": 3}})) == ["EC", "NL"]


def test_deleting_one_leaves_the_others(things):
    things.insert_many(FRUIT)

    assert things.delete_one({"tags": "sweet"}).deleted_count == 1
    assert things.delete_many({"_id": {"$gt": 3}}).deleted_count == 2
    assert [d["_id"] for d in things.find()] == [2, 3]


@pytest.mark.parametrize(("ordered", "stored", "failed"), [(True, [1, 2], [2]), (False, [1, 2, 3], [2, 4])])
def test_a_duplicate_in_a_bulk_stops_an_ordered_one_only(things, ordered, stored, failed):
    documents = [{"_id": 1}, {"_id": 2}, {"_id": 1}, {"_id": 3}, {"_id": 2}]

    with pytest.raises(BulkWriteError) as caught:
        things.insert_many(documents, ordered=ordered)

    assert [d["_id"] for d in things.find().sort("_id", 1)] == stored
    assert [e["index"] for e in caught.value.details["writeErrors"]] == failed
    assert caught.value.details["writeErrors"][0]["keyValue"] == {"_id": 1}


def test_a_duplicate_key_error_says_which_index_and_value(things):
    things.create_index([("mail", 1), ("tenant", -1)], unique=True)
    things.insert_one({"mail": "a@b", "tenant": 1})

    with pytest.raises(DuplicateKeyError) as caught:
        things.insert_one({"mail": "a@b", "tenant": 1.0})

    assert caught.value.code == 11000
    assert caught.value.details["keyPattern"] == {"mail": 1, "tenant": -1}
    assert caught.value.details["keyValue"] == {"mail": "a@b", "tenant": 1.0}


def test_a_mixed_bulk_write_counts_each_kind(things):
    result = things.bulk_write(
        [
            pymongo.InsertOne({"_id": 1, "n": 1}),
            pymongo.UpdateOne({"_id": 1}, {"$inc": {"n": 1}}),
            pymongo.UpdateOne({"_id": 2}, {"$set": {"n": 5}}, upsert=True),
            pymongo.ReplaceOne({"_id": 1}, {"m": 1}),
            pymongo.DeleteOne({"_id": 2}),
        ]
    )

    assert (result.inserted_count, result.matched_count, result.modified_count) == (1, 2, 2)
    assert (result.upserted_ids, result.deleted_count) == ({2: 2}, 1)
    assert list(things.find()) == [{"_id": 1, "m": 1}]


def test_a_document_of_sixteen_megabytes_is_stored_and_a_larger_one_refused(things):
    room = 16 * 1024 * 1024 - len(b"\0\0\0\0\x10_id\0\0\0\0\0\x02t\0\0\0\0\0\0\0")
    things.insert_one({"_id": 1, "t": "x" * room})

    with pytest.raises((OperationFailure, pymongo.errors.DocumentTooLarge)):
        things.insert_one({"_id": 2, "t": "x" * (room + 1)})
    with pytest.raises(OperationFailure) as caught:
        things.update_one({"_id": 1}, {"$set": {"more": 1}})

    assert caught.value.code == 10334
    assert things.count_documents({}) == 1


def test_an_unacknowledged_write_arrives(things):
    unacknowledged = things.with_options(write_concern=pymongo.WriteConcern(w=0))

    with pymongo.timeout(5):
        unacknowledged.insert_one({"_id": 1})
        while not things.find_one():
            pass

    assert things.find_one() == {"_id": 1}
