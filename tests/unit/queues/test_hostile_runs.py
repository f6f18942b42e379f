"""Tasks and users that do what nobody should, in the middle of a run."""

import pytest

from queues import Retry, State, errors
from queues.disposition import Deferred, Done, Failed, Retrying
from queues.idempotency.state import Cancel
from tests.unit.queues.bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_lost_lease_that_is_not_the_runs_own_is_a_failure_as_any_other(bench: Bench):
    def passes_on() -> None:
        raise errors.LeaseLostError("another key", 1)

    message = bench.admitted(bench.task(passes_on, max_retries=0))
    disposition = bench.executor.execute(message)

    assert isinstance(disposition, Failed)
    assert bench.published == []
    assert bench.state(message) is State.FAILED


@pytest.mark.parametrize("delay", [float("nan"), float("inf")])
def test_a_retry_that_can_never_be_due_is_a_failed_attempt(bench: Bench, delay: float):
    def asks_for_nonsense() -> None:
        raise Retry(delay=delay)

    message = bench.admitted(bench.task(asks_for_nonsense, max_retries=1))
    disposition = bench.executor.execute(message)

    assert isinstance(disposition, Retrying)
    assert isinstance(disposition.error, errors.InvalidOptionError)
    assert bench.state(message) is State.WAITING


class Undumpable:
    def model_dump(self) -> dict[str, object]:
        raise RuntimeError("not now")


def test_a_result_that_fails_while_it_is_encoded_is_not_tried_again(bench: Bench):
    message = bench.admitted(bench.task(Undumpable, max_retries=3))

    disposition = bench.executor.execute(message)

    assert isinstance(disposition, Failed)
    assert "not now" in disposition.failure.message
    assert bench.state(message) is State.FAILED


def test_a_run_whose_record_is_deleted_is_done_again(bench: Bench):
    runs: list[str] = []

    def loses_its_record() -> int:
        runs.append("ran")
        if len(runs) == 1:
            del bench.store._records[message.digest]
        return 5

    message = bench.admitted(bench.task(loses_its_record))
    disposition = bench.executor.execute(message)
    copy, _ = bench.published[-1]
    again = bench.executor.execute(copy)

    assert isinstance(disposition, Deferred)
    assert again == Done(5)
    assert bench.state(message) is State.COMPLETED


def test_a_task_that_ends_although_it_was_cancelled_has_its_outcome(bench: Bench):
    def is_cancelled_too_late() -> int:
        bench.store.apply(message.digest, Cancel(60_000))
        return 5

    message = bench.admitted(bench.task(is_cancelled_too_late))

    assert bench.executor.execute(message) == Done(5)
    assert bench.executor.execute(message) == Done(5, is_replay=True)
