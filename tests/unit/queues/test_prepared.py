"""A submission that is written down before it comes is, to the byte, the one that is made from its parts."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from celery import signals
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queues import Call, Decision, Once, Tasks, connect
from queues.asking import key_of, message_of
from queues.backend import Backend
from queues.clock import SystemClock
from queues.errors import PayloadTooLargeError, UnencodableError
from queues.handle import Access
from queues.idempotency import key as keys
from queues.idempotency.state import Kind
from queues.observer import Observer
from queues.prepared import NO_ANSWER, Prepared
from queues.producer import Producer
from queues.stores.memory import AsyncMemoryStore, MemoryStore
from queues.stores.redis import RedisStore
from queues.stores.single_server import SingleServer
from queues.submission import MAX_MESSAGE_BYTES, Submission
from queues.task import AnyTask
from tests.forks import told_by_child

NOBODY = "redis://127.0.0.1:1/0"
BACKENDS = ["celery", "dramatiq"]
SIMPLE = st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=300)
VALUES = SIMPLE | st.binary() | st.lists(SIMPLE, max_size=3) | st.sampled_from(["%d%b%(id)b", "<args>......", "<body>"])


class Server(SingleServer):
    """Keeps the commands that it is sent, and has one answer to all."""

    def __init__(self) -> None:
        super().__init__(host="127.0.0.1", port=1)
        self.commands: list[bytes] = []
        self.answered: list[Any] = [b"admitted", b"first", b"queued"]

    def reply(self, data: bytes) -> Any:
        self.commands.append(data)
        return self.answered


class Shop:
    """Tasks of one backend, over a server that is none."""

    def __init__(self, backend: Backend, tasks: Tasks, prefix: str = "") -> None:
        self.backend, self.tasks, self.server = backend, tasks, Server()
        self.store = RedisStore(NOBODY, prefix=prefix, client=self.server)
        self.clock = SystemClock()
        self.prepared = Prepared(self.store, backend, self.clock)

    def sent(self, task: AnyTask, call: Call) -> list[bytes]:
        """What the short way sends, when its message is made for it; nothing where it does not go that way."""
        key = key_of(task, call)
        self.message = message_of(task, call, key, self.clock.now_ms())
        self.server.commands.clear()
        answer, _ = self.prepared.answer(task, call, key, self.message)
        assert (answer is None) == (not self.server.commands)
        return [*self.server.commands]

    def made(self, task: AnyTask) -> list[bytes]:
        """What is sent of the same message when it is made from its parts."""
        self.server.commands.clear()
        publication = self.backend.publication(self.message, 0)
        submission = Submission(task, self.message, 0, is_held=False, publication=publication)
        self.store.apply(self.message.digest, submission.admit)
        return [*self.server.commands]


@contextmanager
def shop(backend: str, prefix: str = "", **options: Any) -> Iterator[tuple[Shop, AnyTask]]:
    tasks = Tasks(namespace="100 % é")
    task = tasks.task(name='a "task" %b {}', queue="big-queue", **options)(_anything)
    with connect(tasks, backend=backend, redis_url=NOBODY, broker_url=NOBODY) as queue:
        yield Shop(queue.backend, tasks, prefix), task


def _anything(*args: Any, **kwargs: Any) -> None:
    """Takes what comes."""


@pytest.fixture(scope="module", params=BACKENDS)
def open_shop(request: pytest.FixtureRequest) -> Iterator[tuple[Shop, AnyTask]]:
    with shop(request.param) as opened:
        yield opened


@given(args=st.lists(VALUES, max_size=3), kwargs=st.dictionaries(st.text("ab%<", min_size=1), VALUES, max_size=2))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_prepared_command_is_the_one_that_is_made_from_its_parts(open_shop, args, kwargs):
    opened, task = open_shop

    sent = opened.sent(task, Call(tuple(args), kwargs))

    assert sent == opened.made(task)
    assert len(sent) == 1


POLICIES: list[dict[str, Any]] = [
    {"once": None},
    {"once": Once(lock_ttl=7200.0, lease=12.5, version="2")},
    {"once": Once(on_duplicate="reject")},
    {"once": Once(on_duplicate="skip", near_cache=5.0)},
    {"priority": 0},
    {"priority": 9, "max_retries": 0},
    {"time_limit": 5.0, "soft_time_limit": 4.0},
]


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@pytest.mark.parametrize("backend", BACKENDS)
def test_each_policy_that_wishes_nothing_of_the_store_is_prepared(backend, policy):
    with shop(backend, "app%b:", **policy) as (opened, task):
        for call in (Call(), Call((1,)), Call((), {"a": 1}), Call((1,), {"a": 1}, scope="tenant")):
            sent = opened.sent(task, call)

            assert sent == opened.made(task)
            assert len(sent) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_task_that_was_given_another_policy_is_prepared_anew(backend):
    with shop(backend, once=Once(lock_ttl=100.0)) as (opened, task):
        assert opened.sent(task, Call((1,)))
        task.once = Once(lock_ttl=7200.0)
        longer = opened.sent(task, Call((1,)))
        assert longer == opened.made(task)

        task.once = Once(key=["args"], on_duplicate="debounce", quiet=1.0)
        assert not opened.sent(task, Call((1,)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_a_message_it_writes_an_id_and_the_time_itself(backend, monkeypatch):
    with shop(backend) as (opened, task):
        first = opened.sent(task, Call((1, "two"), {"three": 3}))
        monkeypatch.setattr(keys, "message_id", lambda _: opened.message.id)
        opened.clock.now_ms = lambda: opened.message.created_ms  # type: ignore[method-assign]
        answer, _ = opened.prepared.answer(task, Call((1, "two"), {"three": 3}), (opened.message.digest, ""), None)

    assert answer is not None
    assert answer.kind is Kind.ADMITTED
    assert opened.server.commands == first * 2


NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
WISHES: list[dict[str, Any]] = [{"delay": 1.0}, {"priority": 3}, {"key": "mine"}, {"eta": NOON}, {"expires": 60.0}]


@pytest.mark.parametrize("wish", WISHES, ids=str)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_call_with_a_wish_of_its_own_is_not_prepared(backend, wish):
    with shop(backend) as (opened, task):
        assert opened.sent(task, Call((1,)))
        assert not opened.sent(task, Call((1,), **wish))


@pytest.mark.parametrize(
    "policy",
    [
        {"expires": 60.0},
        {"once": Once(replicas=1)},
        {"once": Once(key=["args"], on_duplicate="replace")},
        {"once": Once(key=["args"], on_duplicate="debounce", quiet=1.0)},
        {"max_retries": None},
    ],
    ids=repr,
)
def test_a_task_with_a_wish_is_not_prepared(policy):
    with shop("celery", **policy) as (opened, task):
        assert not opened.sent(task, Call((1,)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_traced_message_is_not_prepared(backend):
    with shop(backend) as (opened, task):
        assert opened.sent(task, Call((1,)))
        traced = replace(opened.message, trace={"traceparent": "00-1-2-01"})

        assert opened.prepared.answer(task, Call((1,)), (traced.digest, ""), traced) == NO_ANSWER


def test_what_watches_celerys_publications_sees_them_all():
    with shop("celery") as (opened, task):
        assert opened.sent(task, Call((1,)))
        signals.before_task_publish.connect(_anything)
        try:
            assert not opened.sent(task, Call((1,)))
        finally:
            signals.before_task_publish.disconnect(_anything)
        assert opened.sent(task, Call((1,)))


@pytest.mark.parametrize("clock", [lambda: 1_700_000_000_000, None])
def test_a_store_with_a_clock_of_a_test_takes_no_prepared_command(clock):
    with shop("celery") as (opened, task):
        opened.store = RedisStore(NOBODY, client=opened.server, now_ms=clock)
        opened.prepared = Prepared(opened.store, opened.backend, opened.clock)

        assert bool(opened.sent(task, Call((1,)))) == (clock is None)


def test_a_memory_store_takes_none():
    with shop("celery") as (opened, task):
        prepared = Prepared(MemoryStore(), opened.backend, opened.clock)

        assert prepared.answer(task, Call((1,)), (keys.unique_digest(), ""), None) == NO_ANSWER


class Told(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def sent(self, message: Any, decision: str, owner: str) -> None:
        self.told.append((message.id, decision))

    def unsent(self, message: Any, error: BaseException) -> None:
        self.told.append((message.id, type(error).__name__))

    def recovered(self, message: Any, state: Any) -> None:
        self.told.append((message.id, "recovered"))


def producer(opened: Shop, observer: Observer | None = None) -> Producer:
    async_store = AsyncMemoryStore(MemoryStore())
    access = Access(opened.store, async_store, opened.clock, lambda _: None)
    return Producer(opened.store, async_store, opened.backend, opened.clock, access, observer)


def test_an_observer_is_told_of_the_message_that_was_sent():
    with shop("dramatiq") as (opened, task):
        observer = Told()
        producer(opened, observer).send(task, Call((1,)))

        [(message_id, decision)] = observer.told
        assert decision == "executed"
        assert message_id.encode() in opened.server.commands[0]


@pytest.mark.parametrize("is_watched", [False, True])
@pytest.mark.parametrize("on_duplicate", ["join", "skip", "reject"])
def test_an_admission_that_was_sent_twice_is_no_duplicate_of_itself(monkeypatch, on_duplicate, is_watched):
    with shop("celery", once=Once(on_duplicate=on_duplicate)) as (opened, task):
        monkeypatch.setattr(keys, "message_id", lambda digest: f"{digest}-{'5' * keys.NONCE_HEX}")
        own = keys.message_id(key_of(task, Call((1,)))[0])
        # A worker has begun it before the connection broke, and the client asked again.
        opened.server.answered = [b"inflight", own.encode(), b"running", 0, 30_000, 0, 0, b"", b"", b"0"]
        handle = producer(opened, Told() if is_watched else None).send(task, Call((1,)))

    assert (handle.id, handle.decision) == (own, Decision.EXECUTED)


@pytest.mark.parametrize("is_watched", [False, True])
@pytest.mark.parametrize("options", [{}, {"other": {"a": 1}}], ids=["ours", "another backend's"])
def test_overdue_work_is_helped(monkeypatch, options, is_watched):
    observer = Told()
    with shop("celery") as (opened, task):
        opened.sent(task, Call((1,)))
        overdue = replace(opened.message, options=options)
        opened.server.answered = [b"help", overdue.id.encode(), b"queued", 0, 0, 0, 0, b"", overdue.encoded(), b"0"]
        published: list[Any] = []
        monkeypatch.setattr(opened.backend, "publish", published.append)
        handle = producer(opened, observer if is_watched else None).send(task, Call((1,)))

        [message] = published
        assert handle.id == overdue.id
        assert (message.id == overdue.id) == (not options)
        assert (message.digest, message.args) == (overdue.digest, (1,))
        assert [what for _, what in observer.told] == ["recovered", "joined"] * is_watched


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_cannot_be_written_is_refused_before_anything_is_sent(backend):
    with shop(backend) as (opened, task):
        submit = producer(opened).send
        with pytest.raises(UnencodableError):
            submit(task, Call(("\ud800",)))
        with pytest.raises(UnencodableError):
            submit(task, Call((object(),)))
        with pytest.raises(PayloadTooLargeError):
            submit(task, Call(("x" * MAX_MESSAGE_BYTES,)))

        assert not opened.server.commands


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_process_takes_no_nonce_of_its_parent():
    keys.nonce()
    told = told_by_child(lambda: keys.nonce().encode()).decode()

    assert len(told) == keys.NONCE_HEX
    assert told not in [keys.nonce() for _ in range(keys.NONCES_AT_ONCE)]


FORKED_IN_C = """
import ctypes, os
from queues.idempotency import key as keys

keys.nonce()
child = ctypes.PyDLL(None).fork()
if child:
    os.waitpid(child, 0)
print(*[keys.nonce() for _ in range(keys.NONCES_AT_ONCE)], flush=True)
os._exit(0)
"""


def test_a_child_that_a_server_forks_in_c_takes_no_nonce_of_its_parent():
    # In a process of one thread: Python knows nothing of such a fork, and a thread of the parent that had asked for the
    # interpreter lock at that moment would be waited for, in the child, for ever.
    done = subprocess.run([sys.executable, "-c", FORKED_IN_C], capture_output=True, text=True, timeout=60, check=True)
    child, parent = (set(line.split()) for line in done.stdout.splitlines())

    assert len(child) == len(parent) == keys.NONCES_AT_ONCE
    assert not child & parent
