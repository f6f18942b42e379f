"""Work that was cancelled or has expired is no dead letter, so it is not in Dramatiq's `.XQ` either."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest
from dramatiq.results import Results
from dramatiq.results.backends import StubBackend

from queues import Handle, Once, Tasks, connect, errors
from tests.stage import eventually

WITHIN_S = 60.0


class Stage:
    """A queue, a task, and a worker that is not started."""

    def __init__(self, url: str, prefix: str) -> None:
        tasks = Tasks(namespace=prefix)

        @tasks.task(queue=prefix, once=Once(lease=2), max_retries=0)
        def work(*, fails: bool) -> None:
            if fails:
                raise ValueError

        self.work = work
        self.queue = connect(tasks, backend="dramatiq", redis_url=url, broker_url=url)
        self.broker: Any = self.queue.backend.broker
        self.worker = dramatiq.Worker(self.broker, worker_threads=2, worker_timeout=50)

    def worked(self, handle: Handle) -> str:
        """How the work failed, and the worker is done with its message."""
        self.worker.start()
        with pytest.raises(errors.TaskFailedError) as caught:
            handle.result(timeout=WITHIN_S)
        eventually(lambda: self.broker.do_qsize(self.work.queue) == 0, within_s=WITHIN_S)
        self.worker.stop()
        return caught.value.failure.type.rpartition(".")[2]

    def rejected(self) -> int:
        """How many messages are in `.XQ`."""
        return int(self.broker.client.zcard(f"{self.broker.namespace}:{self.work.queue}.XQ"))


@pytest.fixture
def stage(valkey_url: str, key_prefix: str) -> Iterator[Stage]:
    made = Stage(valkey_url, key_prefix.strip(":").replace(":", "-"))
    yield made
    made.queue.close()


def expired(stage: Stage) -> Handle:
    """Work that nobody began in time."""
    handle = stage.work.send_with_options((), {"fails": False}, expires=0.01)
    time.sleep(0.05)
    return handle


def cancelled(stage: Stage) -> Handle:
    """Work that was cancelled before it began."""
    handle = stage.work.send(fails=False)
    assert handle.cancel()
    return handle


def failed(stage: Stage) -> Handle:
    """Work that fails for good."""
    return stage.work.send(fails=True)


@pytest.mark.parametrize(
    ("made", "error", "letters"),
    [(expired, "TaskExpiredError", 0), (cancelled, "TaskCancelledError", 0), (failed, "ValueError", 1)],
)
def test_only_what_has_a_dead_letter_is_rejected(
    stage: Stage, made: Callable[[Stage], Handle], error: str, letters: int
):
    handle = made(stage)

    assert stage.worked(handle) == error
    assert stage.rejected() == letters
    assert sum(letter.id == handle.id for letter in stage.queue.dead_letters.list(limit=10_000)) == letters


@pytest.mark.parametrize("made", [expired, cancelled])
def test_a_result_backend_of_dramatiq_still_sees_the_failure(stage: Stage, made: Callable[[Stage], Handle]):
    stage.broker.add_middleware(Results(backend=StubBackend(), store_results=True))

    stage.worked(made(stage))

    assert stage.rejected() == 1
