"""The engine over a memory store whose clock and whose absence the test decides."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from queues import Backoff, Observer, Once, Tasks
from queues.asking import message_for
from queues.call import Call
from queues.errors import StoreUnavailableError
from queues.executor import Executor
from queues.idempotency.guard import Guard
from queues.idempotency.state import Admit, Answer, Operation, Record, State
from queues.message import Message
from queues.stores.memory import MemoryStore
from queues.task import AnyTask
from tests.contract.operations import ManualClock

LEASE_S = 3.0


class RemoteStore(MemoryStore):
    """A memory store that may be out of reach, before an operation is carried out or after."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.away: set[type[Operation]] = set()
        self.answers_lost: set[type[Operation]] = set()
        self.calls: list[type[Operation]] = []

    def apply(self, digest: str, operation: Operation) -> Answer:
        kind = type(operation)
        self.calls.append(kind)
        if kind in self.away:
            raise StoreUnavailableError(f"{kind.__name__} did not reach the store")
        answer = super().apply(digest, operation)
        if kind in self.answers_lost:
            self.answers_lost.discard(kind)
            raise StoreUnavailableError(f"the answer to {kind.__name__} was lost")
        return answer


class Bench:
    """An executor, its parts within reach, and what it publishes."""

    def __init__(self, observer: Observer | None = None) -> None:
        self.clock = ManualClock()
        self.store = RemoteStore(self.clock)
        self.stopping = threading.Event()
        self.tasks = Tasks(namespace="bench")
        self.guard = Guard(self.store, self.clock, self.stopping, observer)
        self.published: list[tuple[Message, int]] = []
        self.executor = Executor(self.tasks, self.guard, self.publish)

    def publish(self, message: Message, delay_ms: int) -> None:
        self.published.append((message, delay_ms))

    def task(self, fn: Callable[..., Any], **options: Any) -> AnyTask:
        """The function as a task; three seconds of lease and a backoff of one second unless told otherwise."""
        once = options.pop("once", Once(lease=LEASE_S))
        return self.tasks.task(name=f"bench.{fn.__name__}", once=once, backoff=Backoff(1), **options)(fn)

    def message(self, task: AnyTask, *args: Any) -> Message:
        return message_for(task, Call(args), self.clock.now_ms())

    def admitted(self, task: AnyTask, *args: Any) -> Message:
        """A message that a producer has admitted and that no worker has begun."""
        message = self.message(task, *args)
        self.store.apply(message.digest, Admit(message.fingerprint, message.id, message.encoded(), 1000, 60_000))
        return message

    def state(self, message: Message) -> State:
        record = self.record(message)
        return record.state if record is not None else State.UNKNOWN

    def record(self, message: Message) -> Record | None:
        return self.store.read(message.digest)


def until(is_true: Callable[[], object], *, within_s: float = 60.0) -> None:
    """Return when the claim holds; fails the test after the deadline."""
    deadline = time.monotonic() + within_s
    while not is_true():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within_s} s")
        time.sleep(0.005)


def kinds(calls: Sequence[type[Operation]]) -> list[str]:
    return [kind.__name__ for kind in calls]
