import asyncio
import multiprocessing

import pytest

from app.stores.errors import RecordExistsError, StoreRejectedError, StoreUnavailableError
from app.stores.mongo import Index, Mongo, PoolStatus
from tests.ports import free_port


def test_an_unreachable_server_is_an_error_of_the_app():
    mongo = Mongo(f"mongodb://127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=200", "nothing")

    async def scenario():
        try:
            with pytest.raises(StoreUnavailableError) as caught:
                await mongo.ping()
            return caught.value, await mongo.pool_status()
        finally:
            await mongo.close()

    error, status = asyncio.run(scenario())

    assert error.code == "store_unavailable"
    assert status == PoolStatus("unhealthy", max_pool_size=100, min_pool_size=10)


def test_a_server_that_answers_is_healthy(run):
    async def scenario(stores):
        return await stores.mongo.pool_status()

    assert run(scenario) == PoolStatus("healthy", max_pool_size=8, min_pool_size=0)


def test_indexes_may_be_ensured_again_and_at_the_same_time(run):
    async def scenario(stores):
        await asyncio.gather(*[stores.prepare() for _ in range(3)])
        return await stores.mongo.driver_collection("chunks").index_information()

    names = run(scenario)

    assert "source_id_1_token_1_position_1" in names


def test_one_database_serves_one_loop_after_another(mongo_url, database_name):
    mongo = Mongo(mongo_url, database_name, max_pool_size=2, min_pool_size=0)

    async def scenario():
        await mongo.ping()
        count = await mongo.collection("nothing").count({})
        await mongo.close()
        return count

    counts = [asyncio.run(scenario()), asyncio.run(scenario())]

    assert counts == [0, 0]


def test_two_loops_use_one_database_at_the_same_time(run):
    async def scenario(stores):
        here = stores.mongo.client()

        async def elsewhere():
            await stores.mongo.ping()
            async with stores.mongo.client() as own:
                return own

        there = await asyncio.to_thread(asyncio.run, elsewhere())
        await stores.mongo.ping()
        return here is there, stores.mongo.client() is here

    assert run(scenario) == (False, True)


# Python 3.12 warns of every fork of a process with threads; Celery's workers are such forks.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_connects_anew(run):
    async def scenario(stores):
        await stores.sources.add_website("t1", "bot", "http://example.com/")
        parent = multiprocessing.get_context("fork")
        answers = parent.Queue()
        child = parent.Process(target=_count_in_child, args=(stores, answers))
        child.start()
        found = await asyncio.to_thread(answers.get, timeout=60)
        child.join(60)
        return found, len((await stores.sources.list("t1")).items)

    assert run(scenario) == (1, 1)


def _count_in_child(stores, answers):
    async def count():
        found = len((await stores.sources.list("t1")).items)
        await stores.close()
        return found

    answers.put(asyncio.run(count()))


def test_a_closed_database_connects_again_when_used(run):
    async def scenario(stores):
        await stores.close()
        await stores.mongo.ping()
        return True

    assert run(scenario)


def test_a_taken_id_is_refused(run):
    async def scenario(stores):
        things = stores.mongo.collection("things")
        await things.insert({"_id": "a", "n": 1})
        with pytest.raises(RecordExistsError) as caught:
            await things.insert({"_id": "a", "n": 2})
        return caught.value, await things.find_one({"_id": "a"})

    error, kept = run(scenario)

    assert (error.collection, error.record_id) == ("things", "a")
    assert kept == {"_id": "a", "n": 1}


def test_a_batch_stores_only_what_is_not_there(run):
    async def scenario(stores):
        things = stores.mongo.collection("things")
        await things.insert({"_id": "b", "n": 0})
        stored = await things.insert_missing([{"_id": each, "n": 1} for each in "abc"])
        return stored, await things.find({}, sort=(("_id", 1),), limit=10)

    stored, found = run(scenario)

    assert stored == 2
    assert found == [{"_id": "a", "n": 1}, {"_id": "b", "n": 0}, {"_id": "c", "n": 1}]


def test_a_batch_that_breaks_a_unique_index_leaves_the_rest(run):
    async def scenario(stores):
        things = stores.mongo.collection("things", (Index((("name", 1),), unique=True),))
        await stores.prepare()
        return await things.insert_missing([{"_id": each, "name": each.lower()} for each in "aAb"])

    assert run(scenario) == 2


@pytest.mark.parametrize("value", ["\ud800", 2**70, object(), "x" * (17 * 1024 * 1024)])
def test_a_value_that_cannot_be_stored_is_refused(run, value):
    async def scenario(stores):
        things = stores.mongo.collection("things")
        for write in (things.insert({"_id": 1, "n": value}), things.insert_missing([{"_id": 2, "n": value}])):
            with pytest.raises(StoreRejectedError):
                await write
        return await things.count({})

    assert run(scenario) == 0


def test_a_removal_in_batches_ends(run):
    async def scenario(stores):
        things = stores.mongo.collection("things")
        await things.insert_missing([{"_id": each, "old": each < 7} for each in range(10)])
        removed = []
        while count := await things.delete_batch({"old": True}, 3):
            removed.append(count)
        return removed, await things.count({})

    assert run(scenario) == ([3, 3, 1], 3)


def test_totals_are_by_value_of_a_field(run):
    async def scenario(stores):
        things = stores.mongo.collection("things")
        await things.insert_missing([{"_id": n, "kind": "even" if n % 2 == 0 else "odd", "size": n} for n in range(5)])
        return await things.totals({"_id": {"$gt": 0}}, by="kind", add="size")

    assert run(scenario) == {"even": (2, 6), "odd": (2, 4)}
