"""Results that come in several batches, with a real PyMongo client."""

import time

import pytest
from bson import Int64
from pymongo.errors import CursorNotFound, OperationFailure


def test_skip_limit_and_sort_give_a_page(things):
    things.insert_many({"_id": number, "group": number % 3} for number in range(30))

    page = [d["_id"] for d in things.find().sort([("group", -1), ("_id", 1)]).skip(8).limit(4)]

    assert page == [26, 29, 1, 4]


def test_a_long_result_comes_in_batches_and_each_document_once(things):
    things.insert_many({"_id": number} for number in range(1000))

    found = [d["_id"] for d in things.find(batch_size=7)]

    assert found == list(range(1000))


def test_a_result_above_16_megabytes_comes_whole(things):
    things.insert_many({"_id": number, "text": "x" * 4_000_000} for number in range(9))

    found = [(d["_id"], len(d["text"])) for d in things.find()]

    assert found == [(number, 4_000_000) for number in range(9)]


def test_a_cursor_goes_on_while_documents_are_removed_and_added(things):
    things.insert_many({"_id": number} for number in range(300))
    cursor = things.find({"_id": {"$gte": 0}}, batch_size=10)
    first = next(cursor)["_id"]

    things.delete_many({"_id": {"$gte": 100, "$lt": 200}})
    things.insert_one({"_id": 1000})
    rest = [d["_id"] for d in cursor]

    assert first == 0
    assert set(range(200, 300)) | set(range(1, 100)) <= set(rest)
    assert len(rest) == len(set(rest))


def test_a_cursor_ends_with_an_error_when_its_collection_is_dropped(things):
    things.insert_many({"_id": number} for number in range(500))
    cursor = things.find(batch_size=2)
    next(cursor)

    things.drop()

    with pytest.raises(OperationFailure) as caught:
        list(cursor)
    assert caught.value.code == 175


def test_a_time_limit_counts_the_work_and_not_the_life_of_a_cursor(things):
    things.insert_many({"_id": number} for number in range(2000))
    cursor = things.find({"_id": {"$gte": 0}, "none": None}, batch_size=2).max_time_ms(500)
    next(cursor)
    time.sleep(0.6)

    assert len(list(cursor)) == 1999


def test_a_killed_cursor_is_gone(things, database):
    things.insert_many({"_id": number} for number in range(10))
    number = database.command("find", "things", batchSize=2)["cursor"]["id"]

    killed = database.command("killCursors", "things", cursors=[number])

    assert killed["cursorsKilled"] == [number]
    with pytest.raises(CursorNotFound):
        database.command("getMore", Int64(number), collection="things")
