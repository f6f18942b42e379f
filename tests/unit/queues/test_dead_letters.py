"""`queue.dead_letters` in one process: the four ways of a replay, what a dry run says, and what is refused."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from queues import DeadLetter, Decision, Once, Queue, State, Tasks, connect, errors
from queues.idempotency.burial import Bury
from queues.idempotency.machine import CANCELLED_OUTCOME
from queues.message import Message
from tests.contract.operations import FAILURE, ManualClock


class Shop:
    """Tasks that fail while they are told to, and what they were called with."""

    def __init__(self) -> None:
        self.is_broken = True
        self.calls: list[Any] = []
        self.clock = ManualClock()
        self.tasks = Tasks(namespace="shop")
        self.charge = self.tasks.task(max_retries=0)(self._charge)
        self.refund = self.tasks.task(max_retries=0, once=Once(cache_failures=True))(self._refund)
        self.queue: Queue = connect(self.tasks, backend="memory", clock=self.clock)
        self.letters = self.queue.dead_letters

    def _charge(self, order: str, amount: int = 5) -> int:
        self.calls.append((order, amount))
        if self.is_broken:
            raise ValueError(order)
        return amount

    def _refund(self, order: str) -> str:
        return str(self._charge(order))

    def later(self, order: str) -> None:
        self.calls.append(order)

    def run(self) -> None:
        self.clock.advance(10_000)  # recovery looks once in a while
        self.queue.backend.run_pending()

    def failed(self, order: str = "o-1") -> str:
        handle = self.charge.send(order)
        self.run()
        return handle.id


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.queue.close()


def ids(letters: list[DeadLetter]) -> list[str]:
    return [letter.id for letter in letters]


def test_a_letter_tells_the_call_and_the_error(shop):
    handle = shop.charge.send("o-1", amount=7)
    shop.run()

    letter = shop.letters.get(handle.id)
    assert (letter.task, letter.queue, letter.args, letter.kwargs) == (
        "shop._charge",
        "default",
        ("o-1",),
        {"amount": 7},
    )
    assert (letter.key, letter.attempts, letter.is_dead, letter.problem) == (handle.key, 1, False, "")
    assert (letter.error.type, letter.error.message) == ("ValueError", "o-1")
    assert "in _charge" in letter.error.traceback


def test_letters_are_listed_by_task_the_newest_first_and_paged(shop):
    sent = [shop.failed(f"o-{number}") for number in range(3)]
    shop.refund.send("o-9")
    shop.run()

    page = shop.letters.list(task="shop._charge", limit=2)
    assert ids(page) == [sent[2], sent[1]]
    assert ids(shop.letters.list(task="shop._charge", limit=2, before=page[-1])) == [sent[0]]
    assert len(shop.letters.list()) == 4


def test_replayed_work_runs_again_under_its_key_and_id_and_the_letter_is_gone(shop):
    failed = shop.failed()
    shop.is_broken = False

    handle = shop.letters.replay(failed)

    assert (handle.id, handle.decision, handle.state) == (failed, Decision.EXECUTED, State.QUEUED)
    assert shop.letters.list() == []
    shop.run()
    assert handle.result() == 5
    assert shop.charge.send("o-1").decision is Decision.REPLAYED


def test_work_that_fails_again_is_a_letter_again(shop):
    failed = shop.failed()

    shop.letters.replay(failed)
    shop.run()

    assert ids(shop.letters.list()) == [failed]
    assert len(shop.calls) == 2


def test_a_letter_outlives_the_outcome_and_is_replayed_then(shop):
    failed = shop.failed()
    shop.clock.advance(3_600_001)
    shop.is_broken = False

    assert shop.queue.handle(failed).state is State.UNKNOWN
    handle = shop.letters.replay(failed)
    shop.run()
    assert handle.result() == 5


def test_replayed_twice_at_once_it_runs_once(shop):
    failed = shop.failed()
    together = threading.Barrier(8, timeout=60)

    def replay(_: int) -> Decision | None:
        together.wait()
        try:
            return shop.letters.replay(failed).decision
        except errors.DeadLetterNotFoundError:
            return None

    with ThreadPoolExecutor(8) as pool:
        decisions = list(pool.map(replay, range(8)))
    shop.is_broken = False
    shop.run()

    assert decisions.count(Decision.EXECUTED) == 1
    assert len(shop.calls) == 2


def test_the_same_work_in_progress_is_joined_and_the_letter_stays(shop):
    failed = shop.failed()
    again = shop.charge.send("o-1")

    handle = shop.letters.replay(failed)

    assert (handle.id, handle.decision) == (again.id, Decision.JOINED)
    assert ids(shop.letters.list()) == [failed]


def test_a_cached_failure_answers_until_its_key_is_released(shop):
    failed = shop.refund.send("o-1").id
    shop.run()
    shop.is_broken = False

    kept = shop.letters.replay(failed)
    plan = shop.letters.plan(failed, release_key=True)
    released = shop.letters.replay(failed, release_key=True)
    shop.run()

    assert (kept.decision, released.decision) == (Decision.REPLAYED, Decision.EXECUTED)
    assert plan.decision is Decision.EXECUTED
    assert released.result() == "5"


def test_other_arguments_run_under_their_own_key(shop):
    failed = shop.failed()
    shop.is_broken = False

    handle = shop.letters.replay(failed, args=("o-2",), kwargs={"amount": 1})
    shop.run()

    assert handle.result() == 1
    assert handle.key != failed[:40]
    assert shop.calls[-1] == ("o-2", 1)
    assert shop.letters.list() == []
    assert shop.charge.send("o-2", 1).decision is Decision.REPLAYED


def test_other_arguments_that_fit_no_task_leave_the_letter(shop):
    failed = shop.failed()

    with pytest.raises(errors.InvalidArgumentsError):
        shop.letters.replay(failed, kwargs={"colour": "red"})
    with pytest.raises(errors.InvalidOptionError):
        shop.letters.replay(failed, args=("o-2",), release_key=True)

    assert ids(shop.letters.list()) == [failed]


def test_a_dry_run_says_what_would_happen_and_changes_nothing(shop):
    failed, cached = shop.failed(), shop.refund.send("o-1").id
    shop.run()

    plans = [
        shop.letters.plan(failed),
        shop.letters.plan(failed, kwargs={"amount": 1}),
        shop.letters.plan(cached),
        shop.letters.plan(cached, release_key=True),
    ]

    executed, replayed = Decision.EXECUTED, Decision.REPLAYED
    assert [plan.decision for plan in plans] == [executed, executed, replayed, executed]
    assert plans[1].key != plans[0].key == failed[:40]
    assert sorted(ids(shop.letters.list())) == sorted([failed, cached])
    assert shop.queue.unfinished() == 0


def test_the_conflict_of_a_key_is_told_before_and_after(shop):
    handle = shop.charge.send_with_options(("o-1",), key="k")
    shop.run()
    shop.is_broken = False
    shop.charge.send_with_options(("o-2",), key="k")
    shop.run()

    assert shop.letters.plan(handle.id).decision is None
    with pytest.raises(errors.KeyConflictError):
        shop.letters.replay(handle.id)
    assert shop.letters.replay(handle.id, release_key=True).decision is Decision.EXECUTED


def test_a_message_of_another_task_under_the_same_key_is_kept(shop):
    message = Message("m1", "shop._charge", "default", "ab" * 20, ("o-1",), fingerprint="f1")
    shop.queue.backend.publish(message)
    shop.queue.backend.publish(Message("m2", "shop._charge", "default", "ab" * 20, ("o-2",), fingerprint="f2"))
    shop.is_broken = False
    shop.run()

    letter = shop.letters.get("m2")
    assert letter.error.type == "queues.errors.KeyConflictError"
    assert (letter.args, letter.attempts) == (("o-2",), 0)


def test_a_message_for_an_unknown_task_waits_for_a_worker_that_knows_it(shop):
    shop.queue.backend.publish(Message("m1", "shop.later", "default", "cd" * 20, ("o-1",)))
    shop.run()
    letter = shop.letters.get("m1")

    assert letter.error.type == "queues.errors.TaskNotFoundError"
    assert (letter.task, letter.args) == ("shop.later", ("o-1",))
    shop.tasks.task(name="shop.later")(shop.later)
    assert shop.letters.replay("m1").decision is Decision.EXECUTED
    shop.run()
    assert shop.calls == ["o-1"]


@pytest.mark.parametrize(
    ("content", "task", "problem"),
    [
        (b"\xff\xfe", None, "not JSON"),
        (b"[1, 2]", None, "not a message"),
        (
            json.dumps({"v": 2, "task": "shop._charge", "queue": "default", "args": ["o-1"]}).encode(),
            "shop._charge",
            "version 2",
        ),
        (Message("m1", "shop._charge", "default", "ab" * 20, options={"manual": {}}).encoded(), "shop._charge", "lock"),
    ],
)
def test_what_cannot_be_run_is_shown_and_not_replayed(shop, content, task, problem):
    shop.queue.store.apply("ab" * 20, Bury("m1", content, FAILURE))

    letter = shop.letters.get("m1")
    assert (letter.task, letter.content) == (task, content)
    assert problem in letter.problem
    assert shop.letters.plan("m1").decision is None
    with pytest.raises(errors.InvalidMessageError, match=problem):
        shop.letters.replay("m1")
    assert ids(shop.letters.list()) == ["m1"]


def test_what_another_version_wrote_can_be_replayed_with_arguments_of_this_one(shop):
    content = json.dumps({"v": 2, "task": "shop._charge", "queue": "default"}).encode()
    shop.queue.store.apply("ab" * 20, Bury("m1", content, FAILURE))
    shop.is_broken = False

    handle = shop.letters.replay("m1", args=("o-1",))
    shop.run()

    assert handle.result() == 5
    assert shop.letters.list() == []


def test_an_outcome_that_cannot_be_read_is_shown(shop):
    shop.queue.store.apply("ab" * 20, Bury("m1", b"x", b"nothing"))
    shop.queue.store.apply("cd" * 20, Bury("m2", b"x", CANCELLED_OUTCOME))

    assert shop.letters.get("m1").error.message == "the error cannot be read"
    assert shop.letters.get("m2").error.code == "cancelled"


def test_letters_are_dropped_and_purged(shop):
    old, young = shop.failed("o-1"), shop.failed("o-2")
    shop.refund.send("o-3")
    shop.run()
    shop.clock.advance(5_000)

    assert shop.letters.purge(older_than=20) == 1
    assert shop.letters.purge(task="shop._refund") == 1
    assert ids(shop.letters.list()) == [young]
    assert [shop.letters.drop(young), shop.letters.drop(young), shop.letters.drop(old)] == [True, False, False]
    assert shop.letters.totals().kept == 0


def test_a_letter_that_is_not_there_is_an_error_of_its_own(shop):
    for ask in (shop.letters.get, shop.letters.replay, shop.letters.plan):
        with pytest.raises(errors.DeadLetterNotFoundError, match="nothing-like-this"):
            ask("nothing-like-this")


def test_retention_is_a_setting():
    tasks = Tasks(namespace="shop")
    with pytest.raises(errors.InvalidOptionError, match="dead letters"):
        connect(tasks, backend="memory", dead_letter_ttl=-1)
    queue = connect(tasks, backend="memory", dead_letter_ttl=0)
    queue.backend.publish(Message("m1", "shop.nothing", "default", "cd" * 20))
    queue.backend.run_pending()

    assert queue.dead_letters.list() == []
