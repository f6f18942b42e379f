"""`replace`, `keep_last` and `debounce`: the newest arguments of a key, in one process with a turned clock."""

from dataclasses import replace

import pytest

from queues import Call, Decision, Once, Tasks, connect
from queues.asking import message_for
from queues.errors import InvalidOptionError, KeyConflictError
from tests.contract.operations import ManualClock


class Shop:
    """A queue whose tasks note what they ran; `during` is called inside the first run."""

    def __init__(self):
        self.clock = ManualClock()
        self.tasks = Tasks(namespace="shop")
        self.runs = []
        self.during = []
        self.replacing = self.declare("replacing", Once(key=["name"], on_duplicate="replace"))
        self.keeping = self.declare("keeping", Once(key=["name"], on_duplicate="keep_last"))
        self.debounced = self.declare("debounced", Once(key=["name"], on_duplicate="debounce", quiet=5))
        self.queue = connect(self.tasks, backend="memory", clock=self.clock)

    def declare(self, task_name, once):
        def index(name, value):
            self.runs.append((name, value))
            while self.during:
                self.during.pop(0)()
            return value

        return self.tasks.task(name=task_name, once=once)(index)

    def run(self):
        self.queue.backend.run_pending()


@pytest.fixture
def shop():
    return Shop()


@pytest.mark.parametrize("name", ["replacing", "keeping", "debounced"])
def test_queued_work_runs_once_with_the_newest_arguments(shop, name):
    task = getattr(shop, name)

    first, second, third = task.send("a", 1), task.send("a", 2), task.send("a", 3)
    shop.clock.advance(5_000)
    shop.run()

    assert [h.decision for h in (first, second, third)] == [Decision.EXECUTED, Decision.REPLACED, Decision.REPLACED]
    assert {first.id, second.id, third.id} == {first.id}
    assert shop.runs == [("a", 3)]
    assert first.result(timeout=0) == 3


def test_debounced_work_waits_until_it_was_quiet(shop):
    shop.debounced.send("a", 1)
    seen = []
    for value in (2, 3, 4):
        shop.clock.advance(4_000)
        shop.run()
        seen.append([*shop.runs])
        shop.debounced.send("a", value)
    shop.clock.advance(4_999)
    shop.run()
    seen.append([*shop.runs])

    shop.clock.advance(3_000)
    shop.run()

    assert seen == [[], [], [], []]
    assert shop.runs == [("a", 4)]


def test_running_work_is_followed_by_one_run_of_the_newest_arguments(shop):
    decisions = []
    shop.during = [lambda value=value: decisions.append(shop.keeping.send("a", value).decision) for value in (2, 3, 4)]

    handle = shop.keeping.send("a", 1)
    shop.run()

    assert decisions == [Decision.FOLLOWS] * 3
    assert shop.runs == [("a", 1), ("a", 4)]
    assert handle.result(timeout=0) == 4


def test_replacing_the_arguments_of_running_work_is_a_conflict(shop):
    raised = []

    def send_other():
        with pytest.raises(KeyConflictError) as caught:
            shop.replacing.send("a", 2)
        raised.append(caught.value)

    shop.during = [send_other]
    shop.replacing.send("a", 1)
    shop.run()

    assert len(raised) == 1
    assert shop.runs == [("a", 1)]


@pytest.mark.parametrize("name", ["replacing", "keeping", "debounced"])
def test_other_arguments_after_completion_run_and_equal_ones_are_replayed(shop, name):
    task = getattr(shop, name)
    task.send("a", 1)
    shop.clock.advance(5_000)
    shop.run()

    same, other = task.send("a", 1), task.send("a", 2)
    shop.clock.advance(5_000)
    shop.run()

    assert (same.decision, other.decision) == (Decision.REPLAYED, Decision.EXECUTED)
    assert shop.runs == [("a", 1), ("a", 2)]


@pytest.mark.parametrize("is_native", [False, True])
def test_what_comes_again_after_newer_arguments_is_dropped_unless_no_producer_made_it(shop, is_native):
    for value in (1, 2, 3):
        shop.keeping.send("a", value)
        shop.run()
    message = message_for(shop.keeping, Call(("a", 1)), 0)
    shop.queue.backend.publish(replace(message, id="native") if is_native else message)
    shop.run()

    # What a task system sent by itself was taken by no record: it may not have run.
    assert len(shop.queue.dead_letters.list()) == is_native
    assert shop.runs == [("a", 1), ("a", 2), ("a", 3)]


def test_cancelled_work_is_not_followed(shop):
    shop.during = [lambda: shop.keeping.send("a", 2), lambda: shop.queue.handle(handle.id).cancel()]
    handle = shop.keeping.send("a", 1)

    shop.run()
    shop.clock.advance(20_000)
    shop.run()

    assert shop.runs == [("a", 1)]


@pytest.mark.parametrize("options", [{"on_duplicate": "debounce"}, {"quiet": 5}, {"on_duplicate": "maybe"}])
def test_a_policy_that_does_not_fit_is_refused(options):
    with pytest.raises(InvalidOptionError):
        Once(**options)
