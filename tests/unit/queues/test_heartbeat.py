"""The heartbeat renews what runs, and stops what may run no longer."""

import asyncio
import threading
import time
from typing import Any

import pytest

from queues import State, current, errors
from queues.disposition import Deferred, Done, Dropped, Failed
from queues.idempotency.state import Begin, Cancel, Heartbeat
from queues.message import Message
from queues.task import AnyTask
from tests.unit.queues.bench import LEASE_S, Bench, until

LEASE_MS = round(LEASE_S * 1000)


@pytest.fixture
def bench() -> Bench:
    return Bench()


class Running:
    """A message that a worker's thread executes."""

    def __init__(self, bench: Bench, task: AnyTask, began: threading.Event) -> None:
        self.bench = bench
        self.message = bench.admitted(task)
        self.came: list[Any] = []
        self._thread = threading.Thread(target=lambda: self.came.append(bench.executor.execute(self.message)))
        self._thread.start()
        assert began.wait(60)

    def ended(self) -> Any:
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.came[0]


@pytest.fixture(params=["sync", "async"])
def endless(request: pytest.FixtureRequest, bench: Bench) -> Running:
    """A task that runs until it is stopped; it does not ask whether it should."""
    began = threading.Event()

    def spins() -> None:
        began.set()
        while True:
            time.sleep(0.001)

    async def sleeps() -> None:
        began.set()
        for _ in range(1_000_000):
            await asyncio.sleep(0.001)

    return Running(bench, bench.task(spins if request.param == "sync" else sleeps), began)


def take_over(bench: Bench, message: Message) -> None:
    bench.clock.advance(LEASE_MS)
    request = Begin("", message.id, message.encoded(), "other", 0, LEASE_MS, 3, 60_000)
    assert bench.store.apply(message.digest, request).token > 0


def none_is_due(bench: Bench) -> bool:
    """Whether the beats that were due have been answered, and the heartbeat knows when the next ones are."""
    watched = [*bench.executor.guard._heartbeat._watched.values()]
    return all(each.due_ms > bench.clock.monotonic_ms() for each in watched)


def test_a_lease_is_renewed_while_the_task_runs(bench: Bench):
    began, end = threading.Event(), threading.Event()

    def waits() -> str:
        began.set()
        end.wait(60)
        return "done"

    running = Running(bench, bench.task(waits), began)
    for _ in range(9):
        beats = bench.store.calls.count(Heartbeat)
        bench.clock.advance(LEASE_MS // 3)
        until(lambda beats=beats: bench.store.calls.count(Heartbeat) > beats)
    end.set()

    assert running.ended() == Done("done")
    record = bench.record(running.message)
    assert record is not None
    assert record.state is State.COMPLETED


def test_a_fenced_run_is_stopped_and_its_end_is_dropped(bench: Bench, endless: Running):
    bench.store.away = {Heartbeat}
    take_over(bench, endless.message)
    bench.store.away = set()

    assert endless.ended() == Dropped()
    assert bench.state(endless.message) is State.RUNNING  # the other's


def test_a_run_whose_lease_could_not_be_renewed_stops_before_anyone_else_may_begin(bench: Bench, endless: Running):
    bench.store.away = {Heartbeat}
    bench.clock.advance(round(LEASE_MS * 0.95))
    disposition = endless.ended()
    record = bench.record(endless.message)

    assert isinstance(disposition, Deferred)
    assert bench.published == [(endless.message, 0)]
    assert record is not None
    assert record.state is State.QUEUED


def test_a_beat_that_is_lost_and_made_up_for_stops_nothing(bench: Bench, endless: Running):
    bench.store.away = {Heartbeat}
    bench.clock.advance(LEASE_MS // 2)
    until(lambda: none_is_due(bench))
    bench.store.away = set()
    bench.clock.advance(LEASE_MS // 3)
    until(lambda: none_is_due(bench))
    bench.clock.advance(LEASE_MS // 3)

    assert endless.came == []
    bench.store.apply(endless.message.digest, Cancel(60_000))
    bench.clock.advance(LEASE_MS // 3)
    assert isinstance(endless.ended(), Failed)


def test_a_cancelled_task_is_stopped(bench: Bench, endless: Running):
    bench.store.apply(endless.message.digest, Cancel(60_000))
    bench.clock.advance(LEASE_MS // 3)
    disposition = endless.ended()

    assert isinstance(disposition, Failed)
    assert isinstance(disposition.error, errors.TaskCancelledError)
    assert bench.state(endless.message) is State.FAILED


def test_a_task_that_asks_is_told_that_it_is_cancelled(bench: Bench):
    began = threading.Event()
    told: list[bool] = []

    def asks() -> None:
        began.set()
        try:
            while True:
                current.check()
                time.sleep(0.001)
        finally:
            told.append(current.is_cancelled)

    running = Running(bench, bench.task(asks), began)
    bench.store.apply(running.message.digest, Cancel(60_000))
    bench.clock.advance(LEASE_MS // 3)

    assert isinstance(running.ended(), Failed)
    assert told == [True]


def test_progress_reaches_the_record_without_waiting_for_the_next_renewal(bench: Bench):
    began, end = threading.Event(), threading.Event()

    def tells() -> None:
        current.progress(3, 10, "pages")
        began.set()
        end.wait(60)

    running = Running(bench, bench.task(tells), began)
    until(lambda: (record := bench.record(running.message)) is not None and record.progress == '[3,10,"pages"]')
    end.set()

    assert running.ended() == Done(None)
