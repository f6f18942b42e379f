"""What a submission ends with, the same on every backend and broker."""

import asyncio
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from queues import Call, Decision, State, errors
from queues.backends.memory import MemoryBackend
from tests.stage import LEASE_S, Stage, eventually

TYPED = {
    "datetime": datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC),
    "naive": datetime(2026, 3, 1, 12, 30),  # noqa: DTZ001 - naive on purpose
    "date": date(2026, 3, 1),
    "delta": timedelta(days=2, microseconds=7),
    "decimal": Decimal("0.10"),
    "uuid": UUID("12345678-1234-5678-1234-567812345678"),
    "bytes": b"\x00\xff\n",
    "set": {1, "1", 2.5},
    "nested": {"list": [{"deep": [None, True, "é\u2028"]}], "tag": {"__onceq__": ["bytes", "AA=="]}},
    "int keys": {1: "a", 2: "b"},
    "large": 2**70,
}


def test_a_task_runs_and_its_result_comes_back(stage: Stage, name: str):
    handle = stage.program.echo.send(name, {"pages": 3})

    assert handle.result() == {"pages": 3}
    assert handle.decision is Decision.EXECUTED
    assert handle.state is State.COMPLETED
    assert stage.effects(name) == ["ran"]


@pytest.mark.parametrize("value", [None, 0, False, "", [], {}], ids=repr)
def test_an_empty_result_is_replayed_as_it_is(stage: Stage, name: str, value: Any):
    first = stage.program.echo.send(name, value)
    first_result = first.result()
    second = stage.program.echo.send(name, value)

    assert second.decision is Decision.REPLAYED
    assert (first_result, second.result()) == (value, value)
    assert type(second.result()) is type(value)
    assert stage.effects(name) == ["ran"]


@pytest.mark.parametrize("kind", TYPED)
def test_arguments_and_results_keep_their_types(stage: Stage, name: str, kind: str):
    result = stage.program.echo.send(name, TYPED[kind]).result()

    assert result == TYPED[kind]
    assert type(result) is type(TYPED[kind])


def test_many_are_sent_at_once(stage: Stage, name: str):
    handles = stage.program.echo.send_many([(f"{name}-{n}", n) for n in range(30)])

    assert [handle.result(timeout=60) for handle in handles] == list(range(30))


def test_async_tasks_run_on_one_loop_of_the_worker(stage: Stage, name: str):
    handles = [stage.program.echo_async.send(f"{name}-{n}", n) for n in range(8)]

    assert [handle.result() for handle in handles] == list(range(8))


def test_awaitable_twins_send_wait_and_tell(stage: Stage, name: str):
    async def use() -> tuple[Any, ...]:
        program, queue = stage.connect()
        first = await program.echo.send_async(name, 7)
        many = await program.echo.send_many_async([Call((f"{name}-a", 1)), (f"{name}-b", 2)])
        if isinstance(queue.backend, MemoryBackend):
            queue.backend.run_pending()
        results = [await handle.result_async() for handle in (first, *many)]
        again = await program.echo.send_with_options_async((name, 7))
        told = (again.decision, (await again.status_async()).state, await again.cancel_async())
        workers = await queue.workers_async()
        await queue.ping_async()
        await queue.close_async()
        return results, told, len(workers)

    results, told, workers = asyncio.run(use())

    assert results == [7, 1, 2]
    assert told == (Decision.REPLAYED, State.COMPLETED, False)
    assert workers == (0 if stage.backend == "memory" else 1)


def test_a_delayed_task_runs_not_before_its_time_and_soon_after(stage: Stage, name: str):
    sent_s = time.time()

    handle = stage.program.echo.send_with_options((name, 1), delay=1.0)
    handle.result()
    began_s = stage.marks(name)[0][2] / 1e6  # the token is the store's clock in microseconds

    assert 0.99 <= began_s - sent_s < 15.0


def test_an_expired_outcome_runs_again(stage: Stage, name: str):
    first = stage.program.short_lived.send(name)
    first.result()
    eventually(lambda: first.state is State.UNKNOWN)
    second = stage.program.short_lived.send(name)

    assert second.decision is Decision.EXECUTED
    assert second.result() == name
    assert stage.effects(name) == ["ran", "ran"]
    assert stage.marks(name)[1][2] > stage.marks(name)[0][2]


def test_a_task_without_once_runs_every_time(stage: Stage, name: str):
    handles = [stage.program.every_time.send(name) for _ in range(3)]
    for handle in handles:
        handle.result()

    assert len({handle.id for handle in handles}) == 3
    assert stage.effects(name) == ["ran"] * 3


def test_a_direct_call_is_a_plain_call(stage: Stage, name: str):
    results = [stage.program.echo(name, 5), stage.program.echo(name, 5)]

    assert results == [5, 5]
    assert stage.effects(name) == ["ran", "ran"]


def test_a_direct_call_of_an_async_task_is_awaited(stage: Stage, name: str):
    result = asyncio.run(stage.program.echo_async(name, 5))

    assert result == 5


def test_progress_is_seen_while_the_task_runs(stage: Stage, name: str):
    handle = stage.program.steps.send(name, 16, 0.15)

    eventually(lambda: (p := handle.status().progress) is not None and 0 < p.done < 16 and p.total == 16)

    assert handle.state is State.RUNNING
    assert handle.result() == f"{name}: 16 steps"


def test_a_task_longer_than_its_lease_runs_once(stage: Stage, name: str):
    handle = stage.program.steps.send(name, 6, LEASE_S * 1.3 / 6)

    assert handle.result(timeout=60) == f"{name}: 6 steps"
    assert stage.effects(name) == [*(f"step-{n}" for n in range(6)), "done"]
    assert handle.status().lost == 0


def test_explain_tells_the_story(stage: Stage, name: str):
    handle = stage.program.echo.send(name, 1)
    handle.result()

    assert "is completed" in handle.explain()
    assert "stored the outcome" in handle.explain()


def test_an_unknown_id_is_unknown(stage: Stage):
    handle = stage.queue.handle("cd" * 20 + "-" + "0" * 12)

    assert handle.state is State.UNKNOWN
    assert "never was accepted, or its outcome has expired" in handle.explain()
    assert handle.cancel() is False
    with pytest.raises(errors.ResultTimeoutError):
        handle.result(timeout=0)


@pytest.mark.parametrize("text", ["", "x", "ab" * 20, "g" * 40 + "-" + "0" * 12, "ab" * 20 + "-" + "0" * 13])
def test_a_malformed_id_is_refused(stage: Stage, text: str):
    with pytest.raises(errors.InvalidIdError):
        stage.queue.handle(text)
