"""What schedulers submit: each moment once, and of those that were missed what was declared."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from queues import Once, Queue, Tasks, connect
from queues.errors import InvalidArgumentsError, InvalidOptionError, StoreUnavailableError
from queues.ticker import TRY_AGAIN_S, Ticker
from tests.contract.operations import ManualClock

HOUR_MS = 3_600_000
MIDNIGHT_MS = 1_767_225_600_000


ONCE = Once(ttl=60)


class Nights:
    """An application with one schedule, on a clock that tests turn."""

    def __init__(self, when: str | timedelta = "0 * * * *", once: Once = ONCE, **options: Any) -> None:
        self.clock = ManualClock(MIDNIGHT_MS)
        self.ran: list[Any] = []
        tasks = Tasks(namespace="nights")
        self.task = tasks.schedule(when, moment="moment", **options)(tasks.task(once=once)(self.work))
        self.queue: Queue = connect(tasks, backend="memory", clock=self.clock)

    def work(self, moment: datetime) -> None:
        self.ran.append(f"{moment:%d %H:%M}")

    def pass_(self, hours: float) -> float:
        """Let time pass, and a scheduler look; after how many seconds it would look again."""
        self.clock.advance(round(hours * HOUR_MS))
        wait_s = self.queue.tick()
        self.queue.backend.run_pending()
        return wait_s


@pytest.fixture
def nights() -> Iterator[Nights]:
    made = Nights()
    made.pass_(0)
    yield made
    made.queue.close()


def test_a_schedule_begins_with_the_first_moment_after_its_first_look(nights):
    before = nights.pass_(0.99)
    after = nights.pass_(0.01)

    assert nights.ran == ["01 01:00"]
    assert (before, after) == (pytest.approx(36), 60)


def test_looking_again_submits_nothing_again_also_when_the_outcome_is_forgotten(nights):
    nights.pass_(1)
    nights.pass_(0)
    nights.clock.advance(120_000)
    another = Ticker(nights.queue.tasks, nights.queue.store)
    another.tick()
    nights.queue.backend.run_pending()

    assert nights.ran == ["01 01:00"]


@pytest.mark.parametrize(
    ("catch_up", "ran"),
    [("last", ["01 04:00"]), ("all", ["01 01:00", "01 02:00", "01 03:00", "01 04:00"]), ("none", [])],
)
def test_missed_moments_are_caught_up_as_declared(catch_up, ran):
    nights = Nights(catch_up=catch_up)
    nights.pass_(0)

    nights.pass_(4.5)
    caught_up = [*nights.ran]
    nights.pass_(0.5)

    assert caught_up == ran
    assert nights.ran == [*ran, "01 05:00"]


def test_of_very_many_missed_moments_the_newest_hundred_are_caught_up():
    nights = Nights(timedelta(seconds=1), catch_up="all")
    nights.pass_(0)

    nights.pass_(1)

    assert len(nights.ran) == 100


def test_a_moment_that_two_submit_before_either_is_remembered_runs_once(nights, monkeypatch):
    nights.clock.advance(HOUR_MS)
    seen = nights.queue.store.ticks()
    monkeypatch.setattr(nights.queue.store, "ticks", lambda: seen)
    nights.pass_(0)
    nights.pass_(0)

    assert nights.ran == ["01 01:00"]


def test_what_is_due_stays_due_while_the_store_is_away(nights, monkeypatch):
    nights.clock.advance(HOUR_MS)

    def away(*_: object) -> None:
        raise StoreUnavailableError("gone")

    monkeypatch.setattr(nights.queue.store, "apply", away)
    wait_s = nights.queue.tick()
    monkeypatch.undo()
    nights.pass_(0)

    assert wait_s == TRY_AGAIN_S
    assert nights.ran == ["01 01:00"]


def test_a_moment_that_is_refused_does_not_stop_those_after_it():
    nights = Nights(once=Once(on_duplicate="reject"))
    nights.pass_(0)
    nights.clock.advance(HOUR_MS)
    seen = nights.queue.store.ticks()
    nights.queue.tick()
    for name, moment_ms in seen[0].items():
        nights.queue.store._ticks[name] = moment_ms

    nights.queue.tick()
    nights.pass_(1)

    assert nights.ran == ["01 01:00", "01 02:00"]


def test_two_schedules_of_one_task_have_two_names():
    tasks = Tasks(namespace="two")
    task = tasks.task(lambda days: days, name="two.clean")
    tasks.schedule("0 3 * * *", kwargs={"days": 1})(task)
    tasks.schedule("0 4 * * *", kwargs={"days": 2})(task)

    assert [schedule.name for schedule in tasks.schedules] == ["two.clean", "two.clean-2"]


def test_a_schedule_that_cannot_work_is_refused_where_it_is_declared():
    tasks = Tasks(namespace="wrong")
    task = tasks.task(lambda days: days, name="wrong.clean")
    newest = tasks.task(lambda days: days, name="wrong.newest", once=Once(key=("days",), on_duplicate="keep_last"))

    with pytest.raises(InvalidArgumentsError):
        tasks.schedule("0 3 * * *")(task)
    with pytest.raises(InvalidOptionError, match="keep_last"):
        tasks.schedule("0 3 * * *", kwargs={"days": 1})(newest)
    tasks.schedule("0 3 * * *", kwargs={"days": 1}, name="nightly")(task)
    with pytest.raises(InvalidOptionError, match="two schedules are named nightly"):
        tasks.schedule("0 4 * * *", kwargs={"days": 1}, name="nightly")(task)
    with connect(tasks, backend="memory"), pytest.raises(InvalidOptionError, match="after connect"):
        tasks.schedule("0 5 * * *", kwargs={"days": 1})(task)
