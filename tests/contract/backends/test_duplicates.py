"""The same work, asked for or delivered more than once, on every backend and broker."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from queues import Call, Decision, State, errors
from queues.asking import message_for
from queues.backends.memory import MemoryBackend
from queues.handle import Handle
from queues.message import Message
from tests.stage import LEASE_S, Stage, eventually


def delivered_again(stage: Stage, digest: str) -> Message:
    """The message of unfinished work, as the record holds it."""
    record = stage.queue.store.read(digest)
    assert record is not None
    return Message.decoded(record.message)


def test_a_duplicate_joins_the_first_and_later_gets_its_result(stage: Stage, name: str):
    first = stage.program.steps.send(name, 10, 0.1)
    joined = stage.program.steps.send(name, count=10, pause_s=0.1)
    results = [joined.result(), first.result()]
    replayed = stage.program.steps.send(name, 10, 0.1)

    assert (first.decision, joined.decision, replayed.decision) == ("executed", "joined", "replayed")
    assert first.id == joined.id == replayed.id
    assert [*results, replayed.result()] == [f"{name}: 10 steps"] * 3
    assert stage.effects(name).count("done") == 1


def test_every_repetition_gets_the_result(stage: Stage, name: str):
    first = stage.program.echo.send(name, 4)
    first.result()
    repetitions = [stage.program.echo.send(name, 4) for _ in range(4)]

    assert {(handle.id, handle.decision, handle.result()) for handle in repetitions} == {(first.id, "replayed", 4)}
    assert stage.effects(name) == ["ran"]


def test_every_awaited_repetition_gets_the_result(stage: Stage, name: str):
    async def use() -> tuple[Handle, list[Handle]]:
        program, queue = stage.connect()
        first = await program.echo.send_async(name, 4)
        if isinstance(queue.backend, MemoryBackend):
            queue.backend.run_pending()
        await first.result_async()
        alone = [await program.echo.send_async(name, 4) for _ in range(2)]
        together = await asyncio.gather(*(program.echo.send_async(name, 4) for _ in range(10)))
        await queue.close_async()
        return first, [*alone, *together]

    first, repetitions = asyncio.run(use())

    assert {(handle.id, handle.decision, handle.result()) for handle in repetitions} == {(first.id, "replayed", 4)}
    assert stage.effects(name) == ["ran"]


def test_a_repetition_of_what_was_joined_and_then_cancelled_runs(stage: Stage, name: str):
    first = stage.program.echo.send_with_options((name, 4), delay=30)
    joined = [stage.program.echo.send(name, 4).id for _ in range(2)]
    first.cancel()
    anew = stage.program.echo.send(name, 4)

    assert joined == [first.id, first.id]
    assert (anew.decision, anew.result()) == ("executed", 4)
    assert stage.effects(name) == ["ran"]


def test_an_omitted_default_is_the_same_work_as_a_spelled_one(stage: Stage):
    first = stage.program.add.send(1000)
    second = stage.program.add.send(a=1000, b=1)

    assert first.id == second.id
    assert second.result() == 1001


@pytest.mark.parametrize("other", ["1", True, 1.5, None], ids=repr)
def test_arguments_of_another_type_are_other_work(stage: Stage, name: str, other: object):
    first = stage.program.echo.send(name, 1)
    second = stage.program.echo.send(name, other)

    assert first.key != second.key
    assert [first.result(), second.result()] == [1, other]


def test_twenty_threads_that_send_the_same_get_one_run(stage: Stage, name: str):
    barrier = threading.Barrier(20)

    def send(_: int) -> tuple[str, Decision]:
        barrier.wait()
        handle = stage.program.echo.send(name, 1)
        return handle.id, handle.decision

    with ThreadPoolExecutor(20) as pool:
        sent = list(pool.map(send, range(20)))
    stage.queue.handle(sent[0][0]).result()

    assert len({handle_id for handle_id, _ in sent}) == 1
    assert [decision for _, decision in sent].count(Decision.EXECUTED) == 1
    assert stage.effects(name) == ["ran"]


def test_duplicates_within_one_send_many_run_once(stage: Stage, name: str):
    handles = stage.program.echo.send_many([(name, 1)] * 10)
    handles[-1].result()

    assert len({handle.id for handle in handles}) == 1
    assert stage.effects(name) == ["ran"]


def test_a_message_published_twice_runs_once(stage: Stage, name: str):
    message = message_for(stage.program.echo, Call((name, 4)), 0)

    stage.queue.backend.publish_many([(message, 0), (message, 0), (message, 300)])
    handle = stage.queue.handle(message.id)

    assert handle.result() == 4
    eventually(lambda: stage.program.echo.send(name, 4).decision is Decision.REPLAYED)
    assert stage.effects(name) == ["ran"]


def test_another_message_for_the_same_work_runs_once(stage: Stage, name: str):
    messages = [message_for(stage.program.echo, Call((name, 4)), 0) for _ in range(3)]

    stage.queue.backend.publish_many([(message, 0) for message in messages])

    assert stage.queue.handle(messages[0].id).result() == 4
    assert stage.effects(name) == ["ran"]


def test_a_copy_that_arrives_while_the_owner_runs_waits_and_does_not_run(stage: Stage, name: str):
    handle = stage.program.steps.send(name, 8, 0.1)
    eventually(lambda: handle.state is State.RUNNING)
    copy = delivered_again(stage, handle.key)

    stage.queue.backend.publish(copy)
    stage.queue.backend.publish(copy)

    assert handle.result() == f"{name}: 8 steps"
    # A sentinel behind the deferred copies: they are due at the latest one lease and a second of jitter later.
    stage.program.echo.send_with_options((f"{name}-after", 1), delay=LEASE_S + 1.2).result()
    assert stage.effects(name) == [*(f"step-{n}" for n in range(8)), "done"]


def test_skip_answers_a_duplicate_at_once(stage: Stage, name: str):
    first = stage.program.skips.send_with_options((name,), delay=2.0)
    second = stage.program.skips.send(name)

    assert second.decision is Decision.SKIPPED
    said = second.result(timeout=0)
    assert (said["status"], said["reason"], said["task_id"]) == ("skipped", "duplicate_task", first.id)
    assert first.result() == name
    assert stage.program.skips.send(name).decision is Decision.REPLAYED
    assert stage.effects(name) == ["ran"]


def test_reject_refuses_a_duplicate_while_the_first_is_unfinished(stage: Stage, name: str):
    first = stage.program.rejects.send_with_options((name,), delay=2.0)

    with pytest.raises(errors.AlreadyRunningError) as caught:
        stage.program.rejects.send(name)

    assert caught.value.retry_after_ms > 0
    assert first.result() == name
    assert stage.program.rejects.send(name).result() == name


def test_an_explicit_key_names_the_work(stage: Stage, name: str):
    first = stage.program.echo.send_with_options((name, 1), key=f"order {name}")
    second = stage.program.echo.send_with_options((name, 1), key=f"order {name}")
    first.result()

    assert first.id == second.id
    with pytest.raises(errors.KeyConflictError) as caught:
        stage.program.echo.send_with_options((name, 2), key=f"order {name}")
    assert caught.value.key == first.key
    assert stage.effects(name) == ["ran"]


def test_a_message_that_conflicts_at_the_worker_is_not_run_and_leaves_the_first_alone(stage: Stage, name: str):
    first = stage.program.echo.send_with_options((name, 1), key=f"order {name}")
    first.result()
    conflicting = message_for(stage.program.echo, Call((name, 2), key=f"order {name}"), 0)

    stage.queue.backend.publish(conflicting)
    stage.program.echo.send(f"{name}-after", 1).result()

    assert first.result() == 1
    assert stage.effects(name) == ["ran"]


def test_scopes_keep_equal_calls_apart(stage: Stage, name: str):
    handles = [stage.program.echo.send_with_options((name, 1), scope=scope) for scope in ("a", "b", "a", "")]
    for handle in handles:
        handle.result()

    assert len({handle.id for handle in handles}) == 3
    assert stage.effects(name) == ["ran"] * 3


def test_awaited_duplicates_join_too(stage: Stage, name: str):
    async def use() -> list[str]:
        program, queue = stage.connect()
        handles = await asyncio.gather(*(program.echo.send_async(name, 1) for _ in range(10)))
        if isinstance(queue.backend, MemoryBackend):
            queue.backend.run_pending()
        await handles[0].result_async()
        await queue.close_async()
        return [handle.id for handle in handles]

    ids = asyncio.run(use())

    assert len(set(ids)) == 1
