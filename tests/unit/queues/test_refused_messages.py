"""What a worker must not run is kept, as a message where it can be one, and before anything else is said of it."""

import json
import threading
from typing import Any

import pytest

from queues import Once, State, errors
from queues.disposition import Failed
from queues.errors import InvalidMessageError
from queues.idempotency.burial import Bury
from queues.idempotency.refusal import Delivered, Unreadable, check_head, refused
from queues.idempotency.state import Admit, Duplicate
from queues.message import Message
from tests.unit.queues.bench import Bench, until

NEWER = json.dumps({"v": 2, "id": "m2", "task": "bench.charge", "queue": "default", "key": "ab" * 20}).encode()
PARTS = {"key": str, "fingerprint": str}
ERROR = InvalidMessageError("no")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_arguments_that_a_newer_version_wrote_are_kept_and_not_run(bench: Bench):
    runs: list[Any] = []

    def charge(order: str) -> None:
        runs.append(order)

    task = bench.task(charge, once=Once(key=["order"], on_duplicate="replace"))
    message = bench.admitted(task, "o-1")
    bench.store.apply(message.digest, Admit("f2", "m2", NEWER, 1000, 60_000, None, Duplicate.REPLACE))

    disposition = bench.executor.execute(message)

    letter = bench.store.letters.get(message.id)
    assert isinstance(disposition, Failed)
    assert disposition.failure.type == "queues.errors.InvalidMessageError"
    assert runs == []
    assert bench.state(message) is State.FAILED
    assert letter is not None
    assert letter.message == NEWER


def test_a_run_that_follows_and_cannot_be_read_here_is_left_to_recovery(bench: Bench):
    message = bench.admitted(bench.task(lambda: bench.store.apply(message.digest, following)))
    following = Admit("", "m2", NEWER, 1000, 60_000, None, Duplicate.FOLLOW)

    bench.executor.execute(message)

    record = bench.record(message)
    assert record is not None
    assert (record.state, record.message) == (State.QUEUED, NEWER)
    assert bench.published == []


def test_a_conflict_is_kept_before_the_delivery_is_answered(bench: Bench):
    task = bench.task(print)
    running = bench.admitted(task)
    other = Message("m2", task.name, "default", running.digest, ("o-2",), fingerprint="other")
    bench.store.away = {Bury}
    done = threading.Event()

    def work() -> None:
        bench.executor.execute(other)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: bench.store.calls.count(Bury) >= 2)
    was_done = done.is_set()
    bench.store.away = set()
    thread.join(60)

    assert not was_done
    assert done.is_set()
    letter = bench.store.letters.get("m2")
    assert letter is not None
    assert Message.decoded(letter.message) == other


def test_a_worker_that_is_ending_gives_the_message_back_when_it_cannot_be_kept(bench: Bench):
    bench.store.away = {Bury}
    bench.stopping.set()

    with pytest.raises(errors.StoreUnavailableError):
        bench.guard.refuse(Unreadable(b"x"), ERROR)


@pytest.mark.parametrize(
    "head", [None, "nonsense", {}, {"key": 5}, {"key": "not hex" * 6}, {"v": "1", "key": "AB" * 20}]
)
def test_a_message_without_a_key_of_ours_gets_one_of_its_own(head: Any):
    message = Delivered("m1", "shop.charge", "default", ["o-1"], {"amount": 5}, head)
    other = Delivered("m2", "shop.charge", "default", ["o-1"], {"amount": 5}, head)

    read = Message.decoded(message.content())
    assert (read.id, read.task, read.queue, read.args, read.kwargs) == (
        *("m1", "shop.charge", "default"),
        *(("o-1",), {"amount": 5}),
    )
    assert read.digest == message.digest == refused(message, ERROR)[0] != other.digest


def test_a_key_that_a_message_carries_stays_its_key():
    head = {"v": "1", "key": "ab" * 20, "fingerprint": "f1", "retries": 3, "priority": 5}
    read = Message.decoded(Delivered("m1", "shop.charge", "default", head=head, created_ms=7).content())

    assert (read.digest, read.fingerprint, read.retries, read.created_ms) == ("ab" * 20, "f1", 0, 7)


@pytest.mark.parametrize(
    ("args", "head"),
    [(("o-1",), {"v": "2", "key": "ab" * 20}), (({"__onceq__": ["uuid", "x"]},), None), ((object(),), None)],
    ids=["newer", "tag of no type", "no JSON"],
)
def test_what_cannot_be_a_message_of_this_version_is_kept_as_it_is(args: tuple[Any, ...], head: Any):
    content = Delivered("m1", "shop.charge", "default", args, {}, head).content()

    assert json.loads(content)["task"] == "shop.charge"
    with pytest.raises(InvalidMessageError):
        Message.decoded(content)


def test_equal_garbage_is_one_letter_and_other_garbage_another():
    first, again, other = (refused(Unreadable(data), ERROR) for data in (b"a", b"a", b"b"))

    assert first == again
    assert first[1].message_id.startswith("unreadable-")
    assert other[1].message_id != first[1].message_id
    assert refused(Unreadable(b"a", "known"), ERROR)[1].message_id == "known"


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("nonsense", "not what this library writes"),
        ({"v": "1", "key": "x"}, "not what this library writes"),
        ({"v": "2", "key": "x", "fingerprint": ""}, "version '2'"),
        ({"key": "x", "fingerprint": ""}, "version 'None'"),
    ],
)
def test_a_head_of_another_making_is_refused(head: Any, said: str):
    with pytest.raises(InvalidMessageError, match=said):
        check_head("onceq", head, PARTS)
