"""What a Celery program sees when its tasks run: the same on Celery's workers and on the shim's."""

import pytest
from celery import chain, chord, group
from celery.exceptions import TimeLimitExceeded, WorkerLostError
from celery.result import allow_join_result

from tests.compat.sides import Side
from tests.stage import eventually

WAIT_S = 60

pytestmark = pytest.mark.usefixtures("worker")


def test_a_result_comes_back(side: Side) -> None:
    assert side.tasks.add.delay(1, 2).get(timeout=WAIT_S) == 3


def test_a_failure_comes_back_as_what_it_was(side: Side) -> None:
    with pytest.raises(ValueError, match="no such order"):
        side.tasks.fail.delay("no such order").get(timeout=WAIT_S)


def test_chains_groups_and_chords_run_to_their_end(side: Side) -> None:
    add, total = side.tasks.add, side.tasks.total
    canvas = chain(add.s(1, 2), add.s(10), group(add.s(i) for i in range(3)), total.s(), add.s(1))

    assert canvas.apply_async().get(timeout=WAIT_S) == 43
    assert chord([add.s(i, i) for i in range(10)], total.s()).apply_async().get(timeout=WAIT_S) == 90


def test_a_chord_whose_header_fails_fails_and_calls_its_errback(side: Side, name: str) -> None:
    body = side.tasks.total.s().on_error(side.tasks.note_failure.s(name))

    result = chord([side.tasks.add.s(1, 1), side.tasks.fail.s("half")], body).apply_async()

    with pytest.raises(Exception, match="half"):
        result.get(timeout=WAIT_S)
    eventually(lambda: side.marks(name), within_s=WAIT_S)
    assert "half" in side.marks(name)[0]


def test_a_task_replaced_by_another_gives_its_result(side: Side) -> None:
    assert side.tasks.replace.delay(5).get(timeout=WAIT_S) == 105


def test_retries_count_and_end(side: Side, name: str) -> None:
    assert side.tasks.flaky.delay(name, 2).get(timeout=WAIT_S) == 2
    assert side.marks(name) == ["0", "1", "2"]


def test_a_countdown_is_waited_for(side: Side, name: str) -> None:
    result = side.tasks.note.apply_async((name,), countdown=1.5)

    assert result.state == "PENDING"
    assert result.get(timeout=WAIT_S) == 1


def test_an_expired_task_does_not_run(side: Side, name: str) -> None:
    result = side.tasks.note.apply_async((name,), countdown=1, expires=0.5)

    eventually(lambda: result.state == "REVOKED", within_s=WAIT_S)
    assert side.marks(name) == []


def test_a_revoked_task_does_not_run(side: Side, name: str) -> None:
    result = side.tasks.note.apply_async((name,), countdown=3)
    result.revoke()

    eventually(lambda: result.state == "REVOKED", within_s=WAIT_S)
    assert side.marks(name) == []


def test_a_terminated_task_ends_and_the_worker_goes_on(side: Side, name: str) -> None:
    result = side.tasks.sleep_and_note.delay(name, 60)
    eventually(lambda: side.marks(name) == ["begin"], within_s=WAIT_S)

    result.revoke(terminate=True)

    eventually(lambda: result.state == "REVOKED", within_s=WAIT_S)
    assert group(side.tasks.add.s(i, i) for i in range(4)).apply_async().get(timeout=WAIT_S) == [0, 2, 4, 6]
    assert side.marks(name) == ["begin"]


def test_a_soft_limit_is_told_to_the_task(side: Side, name: str) -> None:
    assert side.tasks.soft.delay(name).get(timeout=WAIT_S) == "cleaned"
    assert side.marks(name) == ["told"]


def test_a_hard_limit_fails_the_task_and_spares_the_others(side: Side) -> None:
    with pytest.raises(TimeLimitExceeded):
        side.tasks.hard.delay().get(timeout=WAIT_S)
    assert side.tasks.add.delay(2, 2).get(timeout=WAIT_S) == 4


def test_a_child_that_dies_fails_its_task(side: Side) -> None:
    with pytest.raises(WorkerLostError):
        side.tasks.die.delay().get(timeout=WAIT_S)
    assert side.tasks.add.delay(2, 2).get(timeout=WAIT_S) == 4


def test_reject_with_requeue_delivers_again(side: Side, name: str) -> None:
    assert side.tasks.reject.delay(name, True).get(timeout=WAIT_S) == "second"
    assert side.marks(name) == ["False", "True"]


def test_reject_without_requeue_does_not(side: Side, name: str) -> None:
    result = side.tasks.reject.delay(name, False)

    eventually(lambda: result.state == "FAILURE", within_s=WAIT_S)
    assert side.marks(name) == ["False"]


def test_ignore_keeps_the_state_that_the_task_gave(side: Side, name: str) -> None:
    result = side.tasks.ignore.delay(name)

    eventually(lambda: result.state == "KEPT", within_s=WAIT_S)
    assert result.info == {"by": name}


@pytest.mark.parametrize("serializer", ["json", "msgpack", "yaml", "pickle"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_arguments_travel_in_every_serializer(side: Side, serializer: str, compression: str | None) -> None:
    sent = side.tasks.add.apply_async(("grün", "ß" * 1000), serializer=serializer, compression=compression)

    assert sent.get(timeout=WAIT_S) == "grün" + "ß" * 1000


def test_the_request_is_what_celery_says(side: Side) -> None:
    sent = side.tasks.describe.apply_async((1,), {"b": [2]}, headers={"tenant": "x"}, priority=4, time_limit=50)
    with allow_join_result():
        found = sent.get(timeout=WAIT_S)

    assert found == {
        "args": [1],
        "kwargs": {"b": [2]},
        "headers": {"tenant": "x"},
        "retries": 0,
        "priority": 4,
        "routing_key": "celery",
        "exchange": "",
        "redelivered": False,
        "correlation_id": True,
        "root_id": True,
        "timelimit": [50, None],
    }
