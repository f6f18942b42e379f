"""A task is told that its time is nearly over, and ended when it is."""

import asyncio
import threading
import time
from typing import Any

import pytest

from queues import Once, State, errors
from queues.disposition import Deferred, Done, Failed, Retrying
from queues.idempotency.state import Admit, Begin, Cancel, Duplicate, Fail, Heartbeat
from queues.message import Message
from queues.task import AnyTask
from tests.unit.queues.bench import Bench, until

SOFT_MS, HARD_MS = 60_000, 90_000
LIMITS = {"soft_time_limit": SOFT_MS / 1000, "time_limit": HARD_MS / 1000}


@pytest.fixture
def bench() -> Bench:
    return Bench()


class Running:
    """A message that a worker's thread executes, once its function has begun."""

    def __init__(self, bench: Bench, task: AnyTask, began: threading.Event) -> None:
        self.message = bench.admitted(task)
        self.came: list[Any] = []
        self._thread = threading.Thread(target=lambda: self.came.append(bench.executor.execute(self.message)))
        self._thread.start()
        assert began.wait(60)

    def ended(self) -> Any:
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.came[0]


def spinning(began: threading.Event, *, is_async: bool) -> Any:
    """A function that never ends by itself, as the body of a task."""

    def spins() -> None:
        began.set()
        while True:
            time.sleep(0.001)

    async def sleeps() -> None:
        began.set()
        for _ in range(1_000_000):
            await asyncio.sleep(0.001)

    return sleeps if is_async else spins


def catching(began: threading.Event, caught: list[BaseException], *, is_async: bool) -> Any:
    """A function that cleans up at its soft limit, and takes a moment for it."""

    def cleans() -> str:
        try:
            spinning(began, is_async=False)()
        except errors.SoftTimeLimitError as exc:
            caught.append(exc)
            time.sleep(0.01)
        return "half"

    async def cleans_async() -> str:
        try:
            async with asyncio.timeout(1000):
                await spinning(began, is_async=True)()
        except errors.SoftTimeLimitError as exc:
            caught.append(exc)
            await asyncio.sleep(0.01)
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()
        return "half"

    return cleans_async if is_async else cleans


both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@both
def test_a_task_that_ends_within_its_limits_notices_nothing(bench: Bench, is_async: bool):
    async def is_quick() -> int:
        await asyncio.sleep(0.001)
        return 1

    task = bench.task(is_quick if is_async else lambda: 1, **LIMITS)

    assert bench.executor.execute(bench.admitted(task)) == Done(1)


@both
def test_a_task_may_catch_its_soft_limit_and_end(bench: Bench, is_async: bool):
    began, caught = threading.Event(), []
    running = Running(bench, bench.task(catching(began, caught, is_async=is_async), **LIMITS), began)
    bench.clock.advance(SOFT_MS)

    assert running.ended() == Done("half")
    assert [type(error) for error in caught] == [errors.SoftTimeLimitError]
    assert bench.state(running.message) is State.COMPLETED


@both
def test_a_cancelled_task_is_not_told_of_a_limit(bench: Bench, is_async: bool):
    began, caught = threading.Event(), []
    running = Running(bench, bench.task(catching(began, caught, is_async=is_async), **LIMITS), began)
    bench.store.apply(running.message.digest, Cancel(60_000))
    bench.clock.advance(1_000)

    assert running.ended().failure.code == "cancelled"
    assert caught == []


@both
def test_an_attempt_that_does_not_catch_its_soft_limit_is_retried(bench: Bench, is_async: bool):
    began = threading.Event()
    running = Running(bench, bench.task(spinning(began, is_async=is_async), **LIMITS), began)
    bench.clock.advance(SOFT_MS)
    disposition = running.ended()

    assert isinstance(disposition, Retrying)
    assert isinstance(disposition.error, errors.SoftTimeLimitError)
    assert bench.published == [(running.message.retried(1), 1_000)]


def test_a_task_may_give_up_at_its_soft_limit(bench: Bench):
    began = threading.Event()
    limits = {**LIMITS, "give_up_on": (errors.SoftTimeLimitError,)}
    running = Running(bench, bench.task(spinning(began, is_async=False), **limits), began)
    bench.clock.advance(SOFT_MS)
    disposition = running.ended()

    assert isinstance(disposition, Failed)
    assert disposition.failure.code == "soft_time_limit"


@both
def test_a_task_is_ended_at_its_hard_limit_and_not_retried(bench: Bench, is_async: bool):
    began = threading.Event()
    running = Running(bench, bench.task(spinning(began, is_async=is_async), time_limit=HARD_MS / 1000), began)
    bench.clock.advance(HARD_MS)
    disposition = running.ended()

    assert isinstance(disposition, Failed)
    assert isinstance(disposition.error, errors.TimeLimitError)
    assert disposition.failure.code == "time_limit"
    assert "90 s" in disposition.failure.message
    assert bench.state(running.message) is State.FAILED
    assert bench.published == []


def test_a_task_that_overruns_its_clean_up_is_ended(bench: Bench):
    began, cleaning = threading.Event(), threading.Event()

    def cleans_for_ever() -> None:
        try:
            spinning(began, is_async=False)()
        except errors.SoftTimeLimitError:
            cleaning.set()
            spinning(began, is_async=False)()

    running = Running(bench, bench.task(cleans_for_ever, **LIMITS), began)
    bench.clock.advance(SOFT_MS)
    assert cleaning.wait(60)
    bench.clock.advance(HARD_MS - SOFT_MS)

    assert running.ended().failure.code == "time_limit"


def test_an_error_that_the_end_causes_is_not_taken_for_the_tasks_own(bench: Bench):
    began = threading.Event()

    def stumbles() -> None:
        try:
            spinning(began, is_async=False)()
        finally:
            raise ValueError("a clean-up that failed")

    running = Running(bench, bench.task(stumbles, **LIMITS), began)
    bench.store.away = {Fail}
    bench.clock.advance(HARD_MS)
    until(lambda: bench.store.calls.count(Fail) >= 2)
    bench.store.away = set()

    assert running.ended().failure.code == "time_limit"


def test_the_outcome_is_stored_while_the_function_is_stuck_and_what_it_returns_is_dropped(bench: Bench):
    began, freed = threading.Event(), threading.Event()

    def is_stuck() -> str:
        began.set()
        while True:
            try:
                freed.wait(60)  # in C code, where no exception reaches it
                return "late"
            except BaseException:  # noqa: BLE001, S112 - what must not be done
                continue

    running = Running(bench, bench.task(is_stuck, time_limit=HARD_MS / 1000), began)
    bench.clock.advance(HARD_MS)
    until(lambda: bench.state(running.message) is State.FAILED)
    freed.set()
    disposition = running.ended()

    assert isinstance(disposition, Failed)
    assert disposition.failure.code == "time_limit"
    again = bench.executor.execute(running.message)
    assert isinstance(again, Failed)
    assert again.failure.code == "time_limit"


def test_the_end_is_stored_when_the_store_comes_back(bench: Bench):
    began = threading.Event()
    running = Running(bench, bench.task(spinning(began, is_async=False), time_limit=HARD_MS / 1000), began)
    bench.store.away = {Fail}
    bench.clock.advance(HARD_MS)
    until(lambda: bench.store.calls.count(Fail) >= 2)
    bench.store.away = set()

    assert isinstance(running.ended(), Failed)
    assert bench.state(running.message) is State.FAILED


def test_an_unguarded_run_has_its_limits_too(bench: Bench):
    began, came = threading.Event(), []
    once = Once(lease=3, fail_open=True)
    task = bench.task(spinning(began, is_async=False), once=once, **LIMITS, give_up_on=(errors.SoftTimeLimitError,))
    bench.store.away = {Begin}
    thread = threading.Thread(target=lambda: came.append(bench.executor.execute(bench.message(task))))
    thread.start()
    assert began.wait(60)
    bench.clock.advance(HARD_MS)
    thread.join(60)

    assert isinstance(came[0], Failed)
    assert came[0].failure.code == "time_limit"


def test_a_run_that_follows_is_published_when_time_is_over(bench: Bench):
    began = threading.Event()

    def spins(number: int) -> None:
        spinning(began, is_async=False)()

    task = bench.task(spins, time_limit=HARD_MS / 1000, once=Once(key=("number",), on_duplicate="keep_last"))
    message = bench.admitted(task, 1)
    came: list[Any] = []
    thread = threading.Thread(target=lambda: came.append(bench.executor.execute(message)))
    thread.start()
    assert began.wait(60)
    follower = follow(bench, task)
    bench.clock.advance(HARD_MS)
    thread.join(60)

    assert isinstance(came[0], Failed)
    assert follower in [published for published, _ in bench.published]
    assert bench.state(follower) is State.QUEUED


def follow(bench: Bench, task: AnyTask) -> Message:
    message = bench.message(task, 1)
    request = Admit(message.fingerprint, message.id, message.encoded(), 1000, 60_000, None, Duplicate.FOLLOW)
    bench.store.apply(message.digest, request)
    return message


def test_a_lost_lease_goes_before_a_limit(bench: Bench):
    began = threading.Event()
    running = Running(bench, bench.task(spinning(began, is_async=False), **LIMITS), began)
    bench.store.away = {Heartbeat}
    bench.clock.advance(HARD_MS)
    disposition = running.ended()

    # Which of the two threads was first is open; either way there is one story.
    if isinstance(disposition, Deferred):
        assert bench.state(running.message) is State.QUEUED
    else:
        assert disposition.failure.code == "time_limit"
        assert bench.state(running.message) is State.FAILED
