"""Updates, upserts and findAndModify with a real PyMongo client."""

import threading
from datetime import UTC, datetime

import pytest
from bson import Decimal128, Int64, ObjectId, Timestamp
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, WriteError

START = {
    "_id": 1,
    "n": 5,
    "x": 1.5,
    "s": "text",
    "l": [3, 1, 2, 1],
    "d": {"a": 1, "b": {"c": 2}},
    "o": [{"k": 1, "v": 9}, {"k": 2}],
}


@pytest.mark.parametrize(
    ("update", "changed"),
    [
        ({"$set": {"n": "new", "d.b.e": 1}}, {"n": "new", "d": {"a": 1, "b": {"c": 2, "e": 1}}}),
        ({"$set": {"q.r.t": 1}}, {"q": {"r": {"t": 1}}}),
        ({"$set": {"l.1": 9, "o.0.v": 8}}, {"l": [3, 9, 2, 1], "o": [{"k": 1, "v": 8}, {"k": 2}]}),
        ({"$set": {"l.5": 9}}, {"l": [3, 1, 2, 1, None, 9]}),
        ({"$unset": {"s": "", "d.b": "", "none": ""}}, {"s": ..., "d": {"a": 1}}),
        ({"$inc": {"n": 2, "x": 1, "new": 3}}, {"n": 7, "x": 2.5, "new": 3}),
        ({"$inc": {"n": 2**31}}, {"n": Int64(2**31 + 5)}),
        ({"$inc": {"n": Decimal128("0.1")}}, {"n": Decimal128("5.1")}),
        ({"$mul": {"n": 3, "new": 2}}, {"n": 15, "new": 0}),
        ({"$min": {"n": 4, "x": 9}}, {"n": 4}),
        ({"$max": {"n": 4, "x": 9, "new": 1}}, {"x": 9, "new": 1}),
        ({"$rename": {"s": "t", "d.a": "e.f"}}, {"s": ..., "t": "text", "d": {"b": {"c": 2}}, "e": {"f": 1}}),
        ({"$push": {"l": 7, "new": 1}}, {"l": [3, 1, 2, 1, 7], "new": [1]}),
        ({"$push": {"l": {"$each": [9, 0], "$position": 1, "$sort": -1, "$slice": 3}}}, {"l": [9, 3, 2]}),
        ({"$push": {"o": {"$each": [{"k": 0}], "$sort": {"k": 1}, "$slice": -1}}}, {"o": [{"k": 2}]}),
        ({"$addToSet": {"l": {"$each": [1, 8, 8]}}}, {"l": [3, 1, 2, 1, 8]}),
        ({"$pull": {"l": 1}}, {"l": [3, 2]}),
        ({"$pull": {"l": {"$gte": 2}, "o": {"k": 2}}}, {"l": [1, 1], "o": [{"k": 1, "v": 9}]}),
        ({"$pullAll": {"l": [1, 2]}}, {"l": [3]}),
        ({"$pop": {"l": 1, "o": -1}}, {"l": [3, 1, 2], "o": [{"k": 2}]}),
        ({"$bit": {"n": {"and": 4}}}, {"n": 4}),
        ({"$setOnInsert": {"n": 0}}, {}),
        ([{"$set": {"sum": {"$add": ["$n", "$d.a"]}}}, {"$unset": "s"}], {"sum": 6, "s": ...}),
    ],
    ids=str,
)
def test_an_update_changes_the_document_as_mongodb_does(things, update, changed):
    things.insert_one(START)

    result = things.update_one({"_id": 1}, update)

    expected = {name: value for name, value in {**START, **changed}.items() if value is not ...}
    found = things.find_one()
    assert found == expected
    assert {name: type(value) for name, value in found.items()} == {n: type(v) for n, v in expected.items()}
    assert (result.matched_count, result.modified_count) == (1, int(bool(changed)))


@pytest.mark.parametrize(
    ("update", "code"),
    [
        ({"$inc": {"n": 1, "s": 1}}, 14),
        ({"$inc": {"n": "1"}}, 14),
        ({"$inc": {"n": Int64(2**63 - 1)}}, 2),
        ({"$set": {"n": 1, "n.m": 2}}, 40),
        ({"$set": {"n": 1}, "$inc": {"n": 1}}, 40),
        ({"$set": {"n": 1}, "$rename": {"s": "n"}}, 40),
        ({"$set": {"s.deep": 1}}, 28),
        ({"$set": {"_id": 2}}, 66),
        ({"$unset": {"_id": 1}}, 66),
        ({"$push": {"n": 1}}, 2),
        ({"$push": {"l": {"$each": [1], "$foo": 1}}}, 2),
        ({"$push": {"l": {"$position": 1}}}, 2),
        ({"$pop": {"l": 2}}, 9),
        ({"$addToSet": {"l": {"$each": 1}}}, 2),
        ({"$foo": {"n": 1}}, 9),
        ({"$set": {"a..b": 1}}, 56),
        ({"$set": {"$bad": 1}}, 52),
        ({"$set": {"l.$": 1}}, 115),
        ({"$set": {"l.$[]": 1}}, 115),
        ({"$bit": {"n": {"nand": 1}}}, 2),
        ({"$currentDate": {"n": {"$type": "foo"}}}, 2),
        ([{"$group": {"_id": 1}}], 72),
        ({"$set": {"l.9999999": 1}}, 2),
    ],
    ids=str,
)
def test_an_update_that_cannot_be_made_changes_nothing(things, update, code):
    things.insert_one(START)

    with pytest.raises(WriteError) as caught:
        things.update_one({"_id": 1}, update)

    assert caught.value.code == code
    assert things.find_one() == START


def test_current_date_is_the_servers_time(things):
    things.insert_one({"_id": 1})

    things.update_one({"_id": 1}, {"$currentDate": {"at": True, "stamp": {"$type": "timestamp"}}})

    found = things.find_one()
    assert abs((found["at"] - datetime.now(UTC)).total_seconds()) < 30
    assert isinstance(found["stamp"], Timestamp)


def test_an_upsert_takes_over_what_the_filter_fixes(things):
    result = things.update_one(
        {"_id": "k", "tenant": "t", "d.e": {"$eq": 2}, "n": {"$gt": 3}, "$and": [{"m": 1}], "$or": [{"o": 2}]},
        {"$set": {"a": 1}, "$setOnInsert": {"new": True}},
        upsert=True,
    )
    again = things.update_one({"_id": "k"}, {"$set": {"a": 2}, "$setOnInsert": {"new": False}}, upsert=True)

    assert (result.upserted_id, result.matched_count) == ("k", 0)
    assert (again.upserted_id, again.modified_count) == (None, 1)
    assert things.find_one() == {"_id": "k", "tenant": "t", "d": {"e": 2}, "m": 1, "o": 2, "a": 2, "new": True}


def test_an_upsert_without_an_id_makes_one(things):
    result = things.replace_one({"name": "x"}, {"name": "y"}, upsert=True)

    assert isinstance(result.upserted_id, ObjectId)
    assert things.find_one() == {"_id": result.upserted_id, "name": "y"}


def test_updating_many_meets_each_document_once(things):
    things.create_index("n")
    things.insert_many({"_id": number, "n": number} for number in range(200))

    result = things.update_many({"n": {"$gte": 0}}, {"$inc": {"n": 1000}})

    assert (result.matched_count, result.modified_count) == (200, 200)
    assert things.count_documents({"n": {"$gte": 1000, "$lt": 1200}}) == 200


def test_an_update_that_changes_nothing_counts_as_matched_only(things):
    things.insert_one({"_id": 1, "a": 1})

    result = things.update_one({"_id": 1}, {"$set": {"a": 1}})

    assert (result.matched_count, result.modified_count) == (1, 0)


def test_an_update_keeps_the_indexes_true(things):
    things.create_index("a")
    things.insert_many([{"_id": 1, "a": [1, 2]}, {"_id": 2, "a": 3}])

    things.update_one({"_id": 1}, {"$set": {"a": [2, 9]}})
    things.delete_one({"_id": 2})

    assert [things.count_documents({"a": value}) for value in (1, 2, 9, 3)] == [0, 1, 1, 0]


def test_a_unique_index_refuses_an_update_and_leaves_the_document(things):
    things.create_index("a", unique=True)
    things.insert_many([{"_id": 1, "a": 1}, {"_id": 2, "a": 2}])

    with pytest.raises(DuplicateKeyError):
        things.update_one({"_id": 2}, {"$set": {"a": 1, "b": 1}})
    with pytest.raises(DuplicateKeyError):
        things.find_one_and_update({"_id": 3}, {"$set": {"a": 1}}, upsert=True)

    assert list(things.find()) == [{"_id": 1, "a": 1}, {"_id": 2, "a": 2}]


def test_find_and_modify_answers_the_document_before_or_after(things):
    things.insert_many([{"_id": 1, "n": 1}, {"_id": 2, "n": 2}])

    before = things.find_one_and_update({}, {"$inc": {"n": 10}}, sort=[("n", -1)])
    after = things.find_one_and_update(
        {"_id": 1}, {"$inc": {"n": 10}}, projection={"_id": 0}, return_document=ReturnDocument.AFTER
    )
    replaced = things.find_one_and_replace({"_id": 1}, {"m": 1}, return_document=ReturnDocument.AFTER)
    removed = things.find_one_and_delete({"_id": 1})
    nothing = things.find_one_and_update({"_id": 9}, {"$set": {"n": 1}})
    made = things.find_one_and_update({"_id": 9}, {"$set": {"n": 1}}, upsert=True, return_document=ReturnDocument.AFTER)

    assert (before, after, replaced) == ({"_id": 2, "n": 2}, {"n": 11}, {"_id": 1, "m": 1})
    assert (removed, nothing, made) == ({"_id": 1, "m": 1}, None, {"_id": 9, "n": 1})


def test_of_many_who_compare_and_set_one_wins_each_round(things):
    things.insert_one({"_id": "x", "token": 0, "wins": 0})
    won: list[int] = []

    def compete() -> None:
        for token in range(1, 31):
            changed = things.update_one(
                {"_id": "x", "token": {"$lt": token}}, {"$set": {"token": token}, "$inc": {"wins": 1}}
            )
            won.extend([token] * changed.modified_count)

    threads = [threading.Thread(target=compete) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    final = things.find_one()
    assert final["token"] == 30
    assert len(won) == len(set(won)) == final["wins"]
