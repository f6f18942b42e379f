"""What the server does not support is an error with MongoDB's code, never ignored."""

from typing import Any

import pymongo
import pytest
from bson import SON, Int64
from pymongo.errors import ConfigurationError, OperationFailure, WriteError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

UNSUPPORTED, UNKNOWN_FIELD, BAD_VALUE, FAILED_TO_PARSE, TYPE_MISMATCH = 115, 40415, 2, 9, 14


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"find": "x", "collation": {"locale": "en"}}, UNSUPPORTED),
        ({"find": "x", "tailable": True}, UNSUPPORTED),
        ({"find": "x", "min": {"a": 1}}, UNSUPPORTED),
        ({"find": "x", "txnNumber": Int64(1)}, UNSUPPORTED),
        ({"find": "x", "startTransaction": True}, UNSUPPORTED),
        ({"find": "x", "apiVersion": "1"}, UNSUPPORTED),
        ({"find": "x", "allowPartialResults": True}, UNSUPPORTED),
        ({"find": "x", "foo": 1}, UNKNOWN_FIELD),
        ({"find": "x", "filter": 1}, TYPE_MISMATCH),
        ({"find": "x", "filter": {"a": {"$foo": 1}}}, BAD_VALUE),
        ({"find": "x", "filter": {"$foo": 1}}, BAD_VALUE),
        ({"find": "x", "filter": {"$where": "true"}}, UNSUPPORTED),
        ({"find": "x", "filter": {"$text": {"$search": "a"}}}, UNSUPPORTED),
        ({"find": "x", "filter": {"a": {"$near": [1, 2]}}}, UNSUPPORTED),
        ({"find": "x", "filter": {"$jsonSchema": {}}}, UNSUPPORTED),
        ({"find": "x", "filter": {"$or": []}}, BAD_VALUE),
        ({"find": "x", "filter": {"a": {"$in": 1}}}, BAD_VALUE),
        ({"find": "x", "filter": {"a": {"$regex": "("}}}, BAD_VALUE),
        ({"find": "x", "filter": {"a": {"$type": "foo"}}}, BAD_VALUE),
        ({"find": "x", "filter": {"a": {"$gt": 1, "b": 2}}}, BAD_VALUE),
        ({"find": "x", "filter": {"a..b": 1}}, 56),
        ({"find": "x", "sort": {"a": 2}}, BAD_VALUE),
        ({"find": "x", "sort": {"a": {"$meta": "textScore"}}}, UNSUPPORTED),
        ({"find": "x", "projection": {"a": 1, "b": 0}}, FAILED_TO_PARSE),
        ({"find": "x", "projection": {"a": {"$slice": 1}}}, UNSUPPORTED),
        ({"find": "x", "projection": {"a": {"$elemMatch": {"b": 1}}}}, UNSUPPORTED),
        ({"find": "x", "projection": {"a.$": 1}}, UNSUPPORTED),
        ({"find": "x", "limit": -1}, BAD_VALUE),
        ({"find": "x", "skip": "1"}, TYPE_MISMATCH),
        ({"find": "x", "readConcern": {"level": "snapshot"}}, UNSUPPORTED),
        ({"find": "x", "readConcern": {"afterClusterTime": 1}}, UNSUPPORTED),
        ({"find": 1}, 73),
        ({"insert": "x", "documents": [{}], "writeConcern": {"w": 2}}, 100),
        ({"insert": "x", "documents": [{}], "writeConcern": {"foo": 2}}, UNSUPPORTED),
        ({"insert": "x", "documents": []}, BAD_VALUE),
        ({"insert": "a$b", "documents": [{}]}, 73),
        ({"insert": "system.users", "documents": [{}]}, 73),
        ({"create": "x", "capped": True, "size": 1000}, UNSUPPORTED),
        ({"create": "x", "validator": {"a": 1}}, UNSUPPORTED),
        ({"create": "x", "timeseries": {"timeField": "t"}}, UNSUPPORTED),
        ({"create": "x", "viewOn": "y", "pipeline": []}, UNSUPPORTED),
        ({"createIndexes": "x", "indexes": [{"key": {"a": "text"}, "name": "t"}]}, UNSUPPORTED),
        ({"createIndexes": "x", "indexes": [{"key": {"a": "2dsphere"}, "name": "t"}]}, UNSUPPORTED),
        ({"createIndexes": "x", "indexes": [{"key": {"a": "hashed"}, "name": "t"}]}, UNSUPPORTED),
        ({"createIndexes": "x", "indexes": [{"key": {"$**": 1}, "name": "t"}]}, UNSUPPORTED),
        ({"createIndexes": "x", "indexes": [{"key": {"a": 1}, "name": "t", "collation": {}}]}, UNSUPPORTED),
        ({"createIndexes": "x", "indexes": [{"key": {"a": 1}, "name": "t", "hidden": True}]}, UNSUPPORTED),
        ({"createIndexes": "x", "indexes": [{"key": {"a": 1}, "name": "t", "foo": 1}]}, 67),
        ({"createIndexes": "x", "indexes": [{"key": {"a": 0}, "name": "t"}]}, 67),
        ({"createIndexes": "x", "indexes": [{"key": {"a": 1, "b": 1}, "name": "t", "expireAfterSeconds": 1}]}, 67),
        ({"aggregate": "x", "pipeline": []}, FAILED_TO_PARSE),
        ({"aggregate": 1, "pipeline": [], "cursor": {}}, UNSUPPORTED),
        ({"aggregate": "x", "pipeline": [], "cursor": {}, "explain": True}, UNSUPPORTED),
        ({"findAndModify": "x", "query": {}}, FAILED_TO_PARSE),
        ({"findAndModify": "x", "remove": True, "new": True}, FAILED_TO_PARSE),
        ({"findAndModify": "x", "update": {"$set": {"a": 1}}, "arrayFilters": [{}]}, UNSUPPORTED),
        ({"explain": {"find": "x"}}, UNSUPPORTED),
        ({"mapReduce": "x"}, UNSUPPORTED),
        ({"bulkWrite": 1}, UNSUPPORTED),
        ({"saslStart": 1}, UNSUPPORTED),
        ({"commitTransaction": 1}, UNSUPPORTED),
        ({"noSuchCommand": 1}, 59),
        ({"getMore": Int64(7), "collection": "x"}, 43),
        ({"listIndexes": "missing"}, 26),
    ],
    ids=str,
)  # fmt: skip
def test_a_command_that_asks_for_what_is_not_supported_is_refused(database, command, code):
    with pytest.raises(OperationFailure) as caught:
        database.command(SON(command))

    assert caught.value.code == code
    assert caught.value.details["codeName"]
    assert database.list_collection_names() == []


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ({"q": {}, "u": {"$set": {"a": 1}}, "collation": {"locale": "en"}}, UNSUPPORTED),
        ({"q": {}, "u": {"$set": {"a": 1}}, "arrayFilters": [{"x": 1}]}, UNSUPPORTED),
        ({"q": {}, "u": {"$set": {"a": 1}}, "hint": "none"}, BAD_VALUE),
        ({"q": {}, "u": {"$set": {"a": 1}}, "foo": 1}, UNKNOWN_FIELD),
        ({"q": {}, "u": {"a": 1}, "multi": True}, FAILED_TO_PARSE),
        ({"q": {}, "u": {"a": 1, "$set": {"b": 1}}}, 52),
        ({"q": {}, "u": 5}, FAILED_TO_PARSE),
        ({"q": 5, "u": {}}, TYPE_MISMATCH),
        ({"q": {}}, FAILED_TO_PARSE),
    ],
    ids=str,
)
def test_an_update_statement_that_is_not_supported_is_refused(things, database, statement, code):
    things.insert_one({"_id": 1})

    answer: dict[str, Any] = database.command("update", "things", updates=[statement])

    assert answer["writeErrors"][0]["code"] == code
    assert list(things.find()) == [{"_id": 1}]


@pytest.mark.parametrize("document", [{"_id": [1]}, {"_id": 1, "$a": 1}], ids=str)
def test_a_document_that_may_not_be_stored_is_refused(things, document):
    with pytest.raises(WriteError):
        things.insert_one(document)

    assert things.count_documents({}) == 0


def test_a_client_learns_that_there_are_no_sessions_and_no_transactions(mongo, things):
    with mongo.start_session() as session, pytest.raises(ConfigurationError):
        things.find_one({}, session=session)

    hello = mongo.admin.command("hello")
    assert "logicalSessionTimeoutMinutes" not in hello
    assert "setName" not in hello


@pytest.mark.parametrize("hint", ["no_such_index", {"a": -1}], ids=str)
def test_a_hint_that_names_no_index_is_refused(things, hint):
    things.create_index("a")

    with pytest.raises(OperationFailure) as caught:
        list(things.find({"a": 1}, hint=list(hint.items()) if isinstance(hint, dict) else hint))

    assert caught.value.code == BAD_VALUE


def test_watching_for_changes_is_refused(things):
    with pytest.raises(OperationFailure) as caught:
        things.watch()

    assert caught.value.code == 40324


def test_what_one_server_can_honour_is_accepted(things):
    careful = things.with_options(
        write_concern=WriteConcern(w="majority", j=True, wtimeout=1000), read_concern=ReadConcern("majority")
    )

    careful.insert_one({"_id": 1})

    assert careful.find_one({}, comment="why", max_time_ms=5000) == {"_id": 1}


def test_a_time_limit_ends_a_slow_query(things):
    things.insert_many({"_id": number, "t": "x" * 100} for number in range(20_000))

    with pytest.raises(pymongo.errors.ExecutionTimeout):
        list(things.find({"t": {"$regex": "y$"}}).max_time_ms(1))


def test_a_wrong_filter_is_an_error_also_on_an_empty_collection(things):
    with pytest.raises(OperationFailure):
        things.count_documents({"a": {"$foo": 1}})
    with pytest.raises(OperationFailure):
        things.delete_many({"$foo": 1})
    with pytest.raises(OperationFailure):
        things.distinct("a", {"a": {"$foo": 1}})


def test_the_server_says_what_it_is(mongo, database):
    assert database.command("ping") == {"ok": 1.0}
    assert mongo.server_info()["modules"] == ["onceq-embedded"]
    assert database.command("connectionStatus")["authInfo"]["authenticatedUsers"] == []
    assert database.command("serverStatus")["storageEngine"]["persistent"] is True
