"""Indexes, databases and collections with a real PyMongo client."""

import time
from datetime import UTC, datetime, timedelta

import pymongo
import pytest
from pymongo.errors import DuplicateKeyError, OperationFailure

from tests.servers import MongoServer


def test_indexes_are_listed_as_they_were_made(things):
    things.create_index([("a", 1), ("b.c", -1)], unique=True)
    things.create_index("d", sparse=True, name="own")
    things.create_index("e", expireAfterSeconds=3600)
    things.create_index("f", unique=True, partialFilterExpression={"f": {"$exists": True}})

    found = things.index_information()

    assert found == {
        "_id_": {"v": 2, "key": [("_id", 1)]},
        "a_1_b.c_-1": {"v": 2, "key": [("a", 1), ("b.c", -1)], "unique": True},
        "own": {"v": 2, "key": [("d", 1)], "sparse": True},
        "e_1": {"v": 2, "key": [("e", 1)], "expireAfterSeconds": 3600},
        "f_1": {"v": 2, "key": [("f", 1)], "unique": True, "partialFilterExpression": {"f": {"$exists": True}}},
    }


def test_making_an_index_again_is_harmless_and_another_of_its_name_is_refused(things):
    things.create_index("a")
    things.create_index("a")

    with pytest.raises(OperationFailure) as other_options:
        things.create_index("a", unique=True)
    with pytest.raises(OperationFailure) as other_fields:
        things.create_index("b", name="a_1")

    assert (other_options.value.code, other_fields.value.code) == (85, 86)
    assert len(things.index_information()) == 2


def test_an_index_over_existing_documents_is_used_and_unique_ones_are_checked(things):
    things.insert_many([{"_id": 1, "a": 1, "b": 1}, {"_id": 2, "a": 1, "b": 2}])

    with pytest.raises(DuplicateKeyError):
        things.create_indexes([pymongo.IndexModel("b"), pymongo.IndexModel("a", unique=True)])
    things.create_index("b", unique=True)

    assert set(things.index_information()) == {"_id_", "b_1"}
    assert things.count_documents({"b": 2}, hint="b_1") == 1


def test_dropped_indexes_are_gone(things):
    things.create_indexes([pymongo.IndexModel("a"), pymongo.IndexModel("b"), pymongo.IndexModel("c")])

    things.drop_index("a_1")
    things.drop_index([("b", 1)])

    assert set(things.index_information()) == {"_id_", "c_1"}
    things.drop_indexes()
    assert set(things.index_information()) == {"_id_"}
    with pytest.raises(OperationFailure) as caught:
        things.drop_index("a_1")
    assert caught.value.code == 27


def test_a_unique_index_counts_a_missing_field_as_null_unless_it_is_sparse(things, database):
    things.create_index("a", unique=True)
    things.insert_one({"_id": 1})
    sparse = database["sparse"]
    sparse.create_index("a", unique=True, sparse=True)
    sparse.insert_many([{"_id": 1}, {"_id": 2}])

    with pytest.raises(DuplicateKeyError):
        things.insert_one({"_id": 2, "a": None})

    assert sparse.count_documents({"a": None}) == 2


def test_a_partial_unique_index_holds_within_its_condition_alone(things):
    things.create_index("key", unique=True, partialFilterExpression={"state": "open"})

    things.insert_many([{"key": 1, "state": "done"}, {"key": 1, "state": "done"}, {"key": 1, "state": "open"}])
    with pytest.raises(DuplicateKeyError):
        things.insert_one({"key": 1, "state": "open"})
    with pytest.raises(DuplicateKeyError):
        things.update_one({"state": "done"}, {"$set": {"state": "open"}})

    assert things.count_documents({"key": 1}) == 3


def test_a_unique_index_over_an_array_refuses_a_shared_element(things):
    things.create_index("tags", unique=True)
    things.insert_one({"tags": ["a", "b", "a"]})

    with pytest.raises(DuplicateKeyError):
        things.insert_one({"tags": ["c", "b"]})

    assert things.count_documents({"tags": "c"}) == 0


def test_two_arrays_in_one_compound_index_are_refused(things):
    things.create_index([("a", 1), ("b", 1)])

    with pytest.raises(OperationFailure) as caught:
        things.insert_one({"a": [1, 2], "b": [3]})

    assert caught.value.code == 171
    assert things.count_documents({}) == 0


def test_documents_past_their_time_are_removed(tmp_path):
    with (
        MongoServer(tmp_path, options=("--expire-every", "0.1")) as server,
        pymongo.MongoClient(server.url) as client,
    ):
        things = client["t"]["x"]
        things.create_index("at", expireAfterSeconds=60)
        things.create_index([("until", -1)], expireAfterSeconds=0)
        now = datetime.now(UTC)
        things.insert_many([
            {"_id": 1, "at": now - timedelta(seconds=90)},
            {"_id": 2, "at": now},
            {"_id": 3, "until": now - timedelta(seconds=1)},
            {"_id": 4, "until": now + timedelta(hours=1)},
            {"_id": 5, "at": "no date"},
            {"_id": 6},
        ])  # fmt: skip
        deadline = time.monotonic() + 60
        while things.count_documents({}) > 4 and time.monotonic() < deadline:
            time.sleep(0.05)

        assert [d["_id"] for d in things.find().sort("_id", 1)] == [2, 4, 5, 6]


def test_collections_and_databases_are_listed_and_dropped(mongo, database):
    database["one"].insert_one({})
    database.create_collection("two")
    database["three"].create_index("a")

    assert sorted(database.list_collection_names()) == ["one", "three", "two"]
    assert database.list_collection_names(filter={"name": "one"}) == ["one"]
    assert database.name in mongo.list_database_names()
    database.drop_collection("one")
    assert sorted(database.list_collection_names()) == ["three", "two"]
    mongo.drop_database(database.name)
    assert database.list_collection_names() == []
    assert database.name not in mongo.list_database_names()


def test_a_collection_is_created_once(database):
    database.create_collection("one")

    with pytest.raises(OperationFailure) as caught:
        database.command("create", "one")

    assert caught.value.code == 48
    database.drop_collection("never there")


def test_what_does_not_exist_is_empty(things):
    assert list(things.find({"a": 1})) == []
    assert things.count_documents({}) == things.estimated_document_count() == 0
    assert things.delete_many({}).deleted_count == 0
    assert things.update_one({}, {"$set": {"a": 1}}).matched_count == 0
    assert list(things.aggregate([{"$match": {"a": 1}}])) == []
    assert things.index_information() == {}
