"""What a worker has begun ahead of time, and another middleware then skips or fails, does not stay begun."""

from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import Middleware, SkipMessage

from queues import Once, Queue, Tasks, connect
from queues.idempotency.state import State
from tests.stage import eventually

COUNT, THREADS = 40, 2
WITHIN_S = 60.0


def skips(_message: Any) -> None:
    """Raises SkipMessage, as a middleware may."""
    raise SkipMessage("odd")


def fails(message: Any) -> None:
    """Has it rejected, as Dramatiq's AgeLimit does."""
    message.fail()


class OddOnes(Middleware):
    """Lets no message through whose number is odd."""

    def __init__(self, refuse: Callable[[Any], None]) -> None:
        self._refuse = refuse

    def before_process_message(self, broker: Any, message: Any) -> None:
        if message.args[0] % 2:
            self._refuse(message)


class Stage:
    """A queue, a task that notes its numbers, and a worker of two threads that is not started."""

    def __init__(self, url: str, prefix: str) -> None:
        self.noted: list[int] = []
        tasks = Tasks(namespace=prefix)

        @tasks.task(queue=prefix, once=Once(lease=2))
        def note(number: int) -> int:
            self.noted.append(number)
            return number

        self.note = note
        self.queue: Queue = connect(tasks, backend="dramatiq", redis_url=url, broker_url=url)
        self.broker: Any = self.queue.backend.broker
        self.worker = dramatiq.Worker(self.broker, worker_threads=THREADS, worker_timeout=50)


@pytest.fixture
def stage(valkey_url: str, key_prefix: str) -> Iterator[Stage]:
    made = Stage(valkey_url, key_prefix.strip(":").replace(":", "-"))
    yield made
    made.queue.close()


@pytest.mark.parametrize("refuse", [skips, fails])
def test_what_another_middleware_does_not_let_through_does_not_stay_begun(stage: Stage, refuse: Callable[[Any], None]):
    stage.broker.add_middleware(OddOnes(refuse))
    handles = stage.note.send_many([(number,) for number in range(COUNT)])
    stage.worker.start()
    for handle in handles[::2]:
        handle.result(timeout=WITHIN_S)
    eventually(lambda: stage.broker.do_qsize(stage.note.queue) == 0, within_s=WITHIN_S)
    stage.worker.stop()

    assert sorted(stage.noted) == [*range(0, COUNT, 2)]
    assert {handle.status().state for handle in handles[1::2]} == {State.QUEUED}
