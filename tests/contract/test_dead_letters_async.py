"""`queue.dead_letters` for an event loop: the same answers, and a loop that goes on meanwhile."""

import asyncio
from collections.abc import Iterator

import pytest

from queues import Decision, Queue, Tasks, connect, errors
from queues.idempotency.key import digest_of
from queues.message import Message
from tests.contract.operations import bury
from tests.servers import ValkeyServer

tasks = Tasks(namespace="shop")


@tasks.task
def charge(order: str) -> str:
    return order


@pytest.fixture
def queue(valkey_url: str, key_prefix: str) -> Iterator[Queue]:
    made = connect(tasks, backend="celery", redis_url=valkey_url, prefix=key_prefix)
    yield made
    made.close()


def buried(queue: Queue, order: str) -> str:
    """The id of a letter, as that of work whose attempts all failed."""
    handle = charge.send(order)
    record = queue.store.read(handle.key)
    handle.cancel()
    queue.store.apply(handle.key, bury(handle.id, Message.decoded(record.message).encoded()))
    return handle.id


def test_letters_are_listed_read_replayed_and_removed(queue: Queue):
    first, second, third = (buried(queue, f"o-{number}") for number in range(3))
    letters = queue.dead_letters

    async def story() -> None:
        listed = await letters.list_async(task="shop.charge")
        assert {letter.id for letter in listed} == {first, second, third}
        assert await letters.list_async(limit=3, before=listed[-1]) == []
        assert (await letters.get_async(first)).args == ("o-0",)
        assert (await letters.plan_async(first)).decision is Decision.EXECUTED
        handle = await letters.replay_async(first)
        assert (handle.id, handle.decision) == (first, Decision.EXECUTED)
        edited = await letters.replay_async(second, args=("o-9",))
        assert digest_of(edited.id) == edited.key != digest_of(second)
        assert await letters.drop_async(third)
        assert not await letters.drop_async(third)
        with pytest.raises(errors.DeadLetterNotFoundError):
            await letters.get_async(first)
        assert (await letters.totals_async()).kept == 0
        fourth = await asyncio.to_thread(buried, queue, "o-3")
        assert await letters.purge_async(task="shop.other") == 0
        assert await letters.purge_async(task="shop.charge") == 1
        with pytest.raises(errors.DeadLetterNotFoundError):
            await letters.replay_async(fourth)

    asyncio.run(story())


def test_the_loop_goes_on_while_the_server_hangs(tmp_path):
    with ValkeyServer(tmp_path, fsync=None) as server:
        queue = connect(tasks, backend="celery", redis_url=server.url)

        async def story() -> int:
            with server.paused():
                asked = asyncio.create_task(queue.dead_letters.list_async())
                turns = 0
                while turns < 20 and not asked.done():
                    await asyncio.sleep(0.01)
                    turns += 1
            assert await asked == []
            return turns

        assert asyncio.run(story()) == 20
        queue.close()
