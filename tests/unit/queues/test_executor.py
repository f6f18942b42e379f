"""What comes of a delivery, when the store, the task and the clock behave badly."""

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

from queues import Once, Retry, State, current, errors
from queues.disposition import Deferred, Done, Dropped, Failed, Raised, Retrying
from queues.executor import LONGEST_BUSY_WAIT_MS, SHORTEST_HELD_WAIT_MS, Executor
from queues.idempotency.machine import UNPUBLISHED_TTL_MS
from queues.idempotency.state import Admit, Begin, Cancel, Complete
from queues.message import Message
from queues.task import Task
from tests.unit.queues.bench import LEASE_S, Bench, until

LEASE_MS = round(LEASE_S * 1000)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_task_runs_and_its_outcome_is_stored(bench: Bench):
    message = bench.admitted(bench.task(lambda: [1]))

    assert bench.executor.execute(message) == Done([1])
    assert bench.executor.execute(message) == Done([1], is_replay=True)
    assert bench.state(message) is State.COMPLETED


def test_an_unknown_task_is_said_to_be_unknown(bench: Bench):
    with pytest.raises(errors.TaskNotFoundError):
        bench.executor.execute(Message("x", "bench.nothing", "q", "ab" * 20))


def test_a_task_does_not_run_while_the_store_is_away(bench: Bench):
    runs: list[int] = []
    message = bench.admitted(bench.task(lambda: runs.append(1)))
    bench.store.away = {Begin}

    disposition = bench.executor.execute(message)

    assert isinstance(disposition, Deferred)
    assert runs == []
    assert [published for published, _ in bench.published] == [message]
    assert bench.published[0][1] >= 5_000


def test_a_task_that_says_so_runs_unguarded_while_the_store_is_away(bench: Bench):
    attempts: list[int] = []
    task = bench.task(lambda: attempts.append(current.attempt), once=Once(fail_open=True))
    bench.store.away = {Begin}

    disposition = bench.executor.execute(bench.message(task))

    assert disposition == Done(None)
    assert attempts == [1]
    assert bench.published == []


def test_an_unguarded_failure_is_tried_again(bench: Bench):
    def fails() -> None:
        raise OSError("no")

    task = bench.task(fails, once=Once(fail_open=True), max_retries=1)
    bench.store.away = {Begin}
    first = bench.executor.execute(bench.message(task))
    second = bench.executor.execute(bench.published[0][0])

    assert isinstance(first, Retrying)
    assert bench.published[0][1] == 1_000
    assert isinstance(second, Failed)


def test_a_lost_answer_to_begin_costs_at_most_a_lease(bench: Bench):
    message = bench.admitted(bench.task(lambda: 1))
    bench.store.answers_lost = {Begin}

    first = bench.executor.execute(message)
    second = bench.executor.execute(message)
    bench.clock.advance(LEASE_MS)
    third = bench.executor.execute(message)

    assert isinstance(first, Deferred)
    assert isinstance(second, Deferred)
    assert third == Done(1)


def test_an_outcome_is_written_when_the_store_comes_back(bench: Bench):
    message = bench.admitted(bench.task(lambda: 1))
    bench.store.away = {Complete}
    came: list[Any] = []
    worker = threading.Thread(target=lambda: came.append(bench.executor.execute(message)))
    worker.start()
    until(lambda: bench.store.calls.count(Complete) >= 2)
    bench.store.away = set()
    worker.join()

    assert came == [Done(1)]
    assert bench.state(message) is State.COMPLETED


def test_a_completion_whose_answer_was_lost_is_repeated_without_harm(bench: Bench):
    message = bench.admitted(bench.task(lambda: 1))
    bench.store.answers_lost = {Complete}

    assert bench.executor.execute(message) == Done(1)
    assert bench.store.calls.count(Complete) == 2


def test_a_worker_that_is_ending_does_not_wait_for_the_store(bench: Bench):
    message = bench.admitted(bench.task(lambda: 1))
    bench.store.away = {Complete}
    bench.stopping.set()

    with pytest.raises(errors.StoreUnavailableError):
        bench.executor.execute(message)


def test_a_fenced_result_is_dropped(bench: Bench):
    message: list[Message] = []

    def slow() -> str:
        if not runs:
            runs.append(1)
            bench.clock.advance(LEASE_MS + 1)
            won.append(bench.executor.execute(message[0]))
            return "loser"
        return "winner"

    runs: list[int] = []
    won: list[Any] = []
    message.append(bench.admitted(bench.task(slow)))

    disposition = bench.executor.execute(message[0])

    assert disposition == Dropped()
    assert won == [Done("winner")]
    assert bench.executor.execute(message[0]) == Done("winner", is_replay=True)


def test_a_copy_of_running_work_is_put_off_and_not_to_the_leases_end(bench: Bench):
    came: list[Any] = []
    task = bench.task(lambda: came.append(bench.executor.execute(bench.message(task))), once=Once(lease=30))
    bench.executor.execute(bench.admitted(task))

    assert isinstance(came[0], Deferred)
    assert came[0].delay_ms <= LONGEST_BUSY_WAIT_MS + 1_010
    assert len(bench.published) == 1


def test_a_lossy_task_answers_a_busy_delivery_at_once(bench: Bench):
    came: list[Any] = []
    task = bench.task(lambda: came.append(bench.executor.execute(bench.message(task))), once=Once(lossy=True))
    bench.executor.execute(bench.admitted(task))

    assert isinstance(came[0], Done)
    assert came[0].value["status"] == "skipped"
    assert bench.published == []


def test_a_retry_is_written_before_it_is_published(bench: Bench):
    seen: list[State] = []

    def fails() -> None:
        raise Retry(delay=2)

    message = bench.admitted(bench.task(fails))
    executor = Executor(bench.tasks, bench.guard, lambda *_: seen.append(bench.state(message)))

    disposition = executor.execute(message)

    assert isinstance(disposition, Retrying)
    assert disposition.delay_ms == 2_000
    assert seen == [State.WAITING]


def fails_late() -> None:
    raise Retry(delay=61)


def test_a_long_retry_is_held_by_the_record(bench: Bench):
    message = bench.admitted(bench.task(fails_late))
    disposition = bench.executor.execute(message)
    record = bench.record(message)

    assert isinstance(disposition, Retrying)
    assert bench.published == []
    assert (record.state, record.is_held) == (State.WAITING, True)
    assert record.until_ms == bench.clock.now_ms() + 61_000
    assert record.expires_ms - record.until_ms == UNPUBLISHED_TTL_MS


def test_a_long_retry_that_something_waits_for_is_published(bench: Bench):
    message = replace(bench.message(bench.task(fails_late)), options={"celery": {"chord": {}}})

    bench.executor.execute(message)

    assert bench.published == [(message.retried(1), 61_000)]
    assert not bench.record(message).is_held


def test_a_delivery_of_held_work_is_dropped_and_another_messages_looks_again_within_a_minute(bench: Bench):
    task = bench.task(lambda: 1)
    message, other = bench.message(task), bench.message(task)
    held = Admit("", message.id, message.encoded(), 1_000, 60_000, quiet_ms=3_600_000, is_held=True)
    bench.store.apply(message.digest, held)

    assert bench.executor.execute(message) == Dropped()
    deferred = bench.executor.execute(other)
    bench.clock.advance(3_600_000)
    until_published = bench.executor.execute(other)

    assert 60_000 < deferred.delay_ms <= 61_010
    assert SHORTEST_HELD_WAIT_MS < until_published.delay_ms < 2 * SHORTEST_HELD_WAIT_MS
    assert [sent.id for sent, _ in bench.published] == [other.id, other.id]


def refusing(bench: Bench, times: int) -> Executor:
    """An executor whose broker takes nothing for so many calls."""
    refusals: list[int] = []

    def publish(message: Message, delay_ms: int) -> None:
        if len(refusals) < times:
            refusals.append(1)
            raise errors.BrokerUnavailableError("away")
        bench.publish(message, delay_ms)

    return Executor(bench.tasks, bench.guard, publish)


def test_a_retry_is_published_when_the_broker_comes_back(bench: Bench):
    def fails() -> None:
        raise OSError("no")

    message = bench.admitted(bench.task(fails))
    disposition = refusing(bench, times=2).execute(message)

    assert isinstance(disposition, Retrying)
    assert bench.published == [(message.retried(1), 1_000)]


def test_a_retry_that_an_ending_process_could_not_publish_is_left_to_recovery(bench: Bench):
    def fails() -> None:
        bench.stopping.set()
        raise OSError("no")

    message = bench.admitted(bench.task(fails))
    with pytest.raises(errors.BrokerUnavailableError):
        refusing(bench, times=99).execute(message)
    bench.clock.advance(1_000 + LEASE_MS)

    assert [due.digest for due in bench.store.due(0, 10)] == [message.digest]


def test_a_cancelled_task_does_not_retry(bench: Bench):
    def fails() -> None:
        bench.store.apply(message.digest, Cancel(60_000))
        raise OSError("no")

    message = bench.admitted(bench.task(fails))
    disposition = bench.executor.execute(message)

    assert isinstance(disposition, Failed)
    assert disposition.failure.code == "cancelled"
    assert bench.published == []


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_the_process_puts_the_work_back_first(bench: Bench, ending: type[BaseException]):
    def ends() -> None:
        raise ending

    message = bench.admitted(bench.task(ends))
    with pytest.raises(ending):
        bench.executor.execute(message)

    assert bench.state(message) is State.QUEUED
    assert bench.published == [(message, 0)]


def test_an_async_task_that_cancels_itself_has_failed(bench: Bench):
    async def ends() -> None:
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    message = bench.admitted(bench.task(ends))
    disposition = bench.executor.execute(message)

    assert isinstance(disposition, Retrying)
    assert bench.state(message) is State.WAITING


def test_a_foreign_failure_is_left_to_its_task_system_with_the_lease_held(bench: Bench):
    def fails() -> None:
        raise OSError("no")

    task = bench.tasks.add(Task(fails, tasks=bench.tasks, name="bench.foreign", max_retries=None))
    message = bench.admitted(task)
    disposition = bench.executor.execute(message)

    assert isinstance(disposition, Raised)
    assert bench.state(message) is State.RUNNING
    assert not disposition.run.is_ended


def test_a_result_that_is_too_long_fails_once(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("queues.executor.MAX_RESULT_BYTES", 100)
    message = bench.admitted(bench.task(lambda: "x" * 101))

    disposition = bench.executor.execute(message)

    assert isinstance(disposition, Failed)
    assert disposition.failure.type == "queues.errors.UnencodableError"
    assert bench.state(message) is State.FAILED
