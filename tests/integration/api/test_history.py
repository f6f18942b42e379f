"""From a submission in Redis to its record in MongoDB, on both servers."""

import asyncio
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from app.api.history import History
from app.stores.errors import StoreRejectedError, StoreUnavailableError
from app.stores.history_backlog import MAX_TOGETHER, HistoryBacklog
from app.stores.mongo import Mongo
from app.stores.redis import close, connect, together
from app.stores.stores import Stores
from tests.integration.api.service import eventually
from tests.integration.api.service import run as serve
from tests.integration.submitted import submission
from tests.proxy import Proxy


def run(place, scenario, processes=1):
    """What the scenario returns, given the history as each of so many API processes has it."""

    async def main():
        redis = connect(place.valkey_url)
        stores = Stores(Mongo(place.mongo_url, place.database, max_pool_size=8, min_pool_size=0))
        backlogs = [HistoryBacklog(redis, place.prefix) for _ in range(processes)]
        try:
            return await scenario(*(History(backlog, stores.task_history) for backlog in backlogs))
        finally:
            await stores.mongo.drop()
            await stores.close()
            await close(redis)

    return asyncio.run(main())


def test_redis_that_is_lost_after_the_admission_is_a_503_and_the_next_ask_gets_the_same_task(place):
    with Proxy(urlsplit(place.valkey_url).port) as proxy:
        path = urlsplit(place.valkey_url).path

        async def scenario(service):
            history = service.context.history
            adding, admitted = history.adding, []

            def lost(submission):
                admitted.append(submission.task_id)
                proxy.cut()
                return adding(submission)

            history.adding = lost
            refused = await service.upload(b"some text")
            del history.adding
            proxy.mend()
            accepted = await service.upload(b"some text")
            listed = (await service.client.get("/api/v1/tasks")).json()["items"]
            return refused, accepted, admitted, listed

        through = replace(place, valkey_url=f"redis://127.0.0.1:{proxy.port}{path}")
        refused, accepted, admitted, listed = serve(through, scenario)

    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert (accepted.status_code, accepted.json()["id"]) == (202, admitted[0])
    assert [task["id"] for task in listed] == admitted


async def add(history, *submissions):
    await together(*(history.adding(each) for each in submissions))


async def left(history):
    return await history._backlog.read()


def test_what_was_submitted_is_found_at_once_by_its_owner_alone(place):
    async def scenario(history):
        await add(history, submission(arguments={"a": "b"}), submission(decision="joined"))
        return await history.find("t1", "id-1"), await history.find("t2", "id-1"), await left(history)

    own, other, waiting = run(place, scenario)

    assert (own.submissions, own.decision, own.arguments) == (2, "joined", {"a": "b"})
    assert (other, waiting) == (None, [])


def test_what_is_more_than_one_batch_is_written_in_order(place):
    async def scenario(history):
        numbers = range(MAX_TOGETHER + 10)
        await add(history, *(submission(task_id=f"id-{n}", chatbot_id="bot") for n in numbers))
        await history.settle()
        page = await history._written.list("t1", limit=200)
        return (
            [record.created_at for record in page.items],
            await history._written.get("t1", "id-0"),
            await left(history),
        )

    times, oldest, waiting = run(place, scenario)

    assert times == sorted(times, reverse=True)
    assert oldest is not None
    assert waiting == []


def test_the_same_call_made_twice_adds_one_submission(place):
    async def scenario(history):
        call = history.adding(submission())
        await together(call)
        await together(call)
        return await history.find("t1", "id-1")

    assert run(place, scenario).submissions == 1


def test_processes_that_write_at_once_count_each_submission_once(place):
    async def scenario(*processes):
        await add(processes[0], *(submission(decision="joined" if n else "executed") for n in range(40)))
        await asyncio.gather(*(process.settle() for process in processes))
        return await processes[0].find("t1", "id-1")

    assert run(place, scenario, processes=3).submissions == 40


def test_one_process_at_a_time_writes_unless_somebody_waits_for_it(place):
    async def scenario(one, other):
        await add(one, submission())
        mine, theirs = await one._backlog.read(in_turn=True), await other._backlog.read(in_turn=True)
        return len(mine), len(theirs), await other.find("t1", "id-1"), await left(other)

    mine, theirs, record, waiting = run(place, scenario, processes=2)

    assert (mine, theirs, record.submissions, waiting) == (1, 0, 1, [])


def test_what_another_process_left_is_written_without_being_asked_for(place):
    async def scenario(dead, alive):
        await add(dead, submission())
        writing = asyncio.create_task(alive.go_on_writing())
        await eventually(lambda: left(alive), lambda entries: not entries)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        return await alive._written.get("t1", "id-1")

    assert run(place, scenario, processes=2).task_id == "id-1"


def test_while_mongodb_is_away_it_is_kept_and_found_and_then_written(place):
    async def scenario(history):
        write = history._written.write

        async def away(_):
            raise StoreUnavailableError("away")

        history._written.write = away
        await add(history, submission())
        found = await history.find("t1", "id-1")
        with pytest.raises(StoreUnavailableError):
            await history.find("t1", "id-2")
        history._written.write = write
        return found, await history.find("t1", "id-1"), await left(history)

    while_away, written, waiting = run(place, scenario)

    assert while_away == written
    assert waiting == []


def test_what_mongodb_refuses_is_kept_and_holds_up_nobody(place):
    async def scenario(history):
        write = history._written.write

        async def refusing(entries):
            if any(entry.submission.task_id == "bad" for entry in entries):
                raise StoreRejectedError("bad")
            await write(entries)

        history._written.write = refusing
        await add(history, *(submission(task_id=name) for name in ("id-1", "bad", "id-2")))
        await history.settle()
        found = [await history.find("t1", name) for name in ("id-1", "bad", "id-2")]
        return [record.task_id for record in found], [entry.submission.task_id for entry in await left(history)]

    assert run(place, scenario) == (["id-1", "bad", "id-2"], ["bad"])


def test_who_gives_up_waiting_does_not_stop_the_writing_for_others(place):
    async def scenario(history):
        await add(history, submission())
        waiting = [asyncio.create_task(history.settle()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        return [type(outcome).__name__ for outcome in outcomes], await left(history)

    assert run(place, scenario) == (["CancelledError", "NoneType", "NoneType"], [])


def test_closing_writes_what_is_left(place):
    async def scenario(history):
        await add(history, submission())
        await history.close()
        return await history._written.get("t1", "id-1")

    assert run(place, scenario).submissions == 1
