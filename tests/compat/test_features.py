"""What people use of Celery's tasks less often: the same on Celery's workers and on the shim's."""

import pytest
from celery import chain, group
from celery.canvas import StampingVisitor
from celery.contrib.abortable import AbortableAsyncResult

from tests.compat.sides import Side
from tests.stage import eventually

PROGRAM = "compat_features"
WAIT_S = 60

pytestmark = pytest.mark.usefixtures("worker")


class Monitoring(StampingVisitor):
    """Stamps every task of a canvas."""

    def on_signature(self, sig: object, **headers: object) -> dict[str, object]:
        return {"tenant": "t7", "stamped_headers": ["tenant"]}


def test_every_hook_of_the_class_is_called(side: Side, name: str) -> None:
    assert side.tasks.whole.delay(name, 1).get(timeout=WAIT_S) == "done"

    hooks = ["before_start", "on_retry no", "before_start", "on_success done", "after_return SUCCESS"]
    # The second attempt may begin in another process before the first one's hook was called.
    eventually(lambda: sorted(side.marks(name)) == sorted(hooks), within_s=WAIT_S)


def test_the_hooks_of_a_task_that_gives_up(side: Side, name: str) -> None:
    with pytest.raises(ValueError, match="no"):
        side.tasks.whole.delay(name, 5).get(timeout=WAIT_S)

    hooks = ["before_start", "on_retry no", "before_start", "on_failure no", "after_return FAILURE"]
    eventually(lambda: sorted(side.marks(name)) == sorted(hooks), within_s=WAIT_S)


def test_a_call_of_the_class_is_taken(side: Side, name: str) -> None:
    assert side.tasks.called.delay(name).get(timeout=WAIT_S) == f"called {name}"


def test_a_request_class_of_the_task_is_told(side: Side, name: str) -> None:
    side.tasks.noted.apply_async(task_id=name).get(timeout=WAIT_S)

    eventually(lambda: side.marks(name) == ["accepted"], within_s=WAIT_S)


def test_a_state_of_ones_own_is_seen_while_the_task_runs(side: Side, name: str) -> None:
    result = side.tasks.progress.delay(name)

    eventually(lambda: result.state == "PROGRESS", within_s=WAIT_S)
    assert result.info == {"done": 50}
    side.ledger.set(f"go:{name}", "1")
    assert result.get(timeout=WAIT_S) == "done"


def test_a_task_that_began_is_started(side: Side, name: str) -> None:
    result = side.tasks.late_sleep.delay(name, 2)

    eventually(lambda: result.state == "STARTED", within_s=WAIT_S)
    assert set(result.info) == {"pid", "hostname"}
    assert result.get(timeout=WAIT_S) == "done"


def test_an_extended_result_tells_of_its_call(side: Side) -> None:
    result = side.tasks.echo.apply_async(("x",))
    result.get(timeout=WAIT_S)

    assert (result.name, result.args, result.kwargs, result.retries, result.queue) == (
        "compat_features.echo",
        ["x"],
        {},
        0,
        "celery",
    )
    assert result.worker.startswith(tuple("0123456789abcdef"))


def test_a_result_that_is_ignored_is_not_kept(side: Side, name: str) -> None:
    result = side.tasks.silent.delay(name)

    eventually(lambda: side.marks(name) == ["run"], within_s=WAIT_S)
    assert side.tasks.echo.delay(1).get(timeout=WAIT_S) == 1
    assert result.state == "PENDING"


def test_errors_that_are_named_are_retried_and_others_are_not(side: Side, name: str) -> None:
    with pytest.raises(KeyError):
        side.tasks.picky.delay(name, "key").get(timeout=WAIT_S)
    with pytest.raises(IndexError):
        side.tasks.picky.delay(f"{name} index", "index").get(timeout=WAIT_S)

    assert side.marks(name) == ["run"] * 3
    assert side.marks(f"{name} index") == ["run"]


def test_retries_back_off(side: Side, name: str) -> None:
    with pytest.raises(KeyError):
        side.tasks.backing_off.delay(name).get(timeout=WAIT_S)

    first_s, second_s, third_s = (float(text) for text in side.marks(name))
    assert second_s - first_s >= 1
    assert third_s - second_s >= 2


def test_a_topic_and_a_direct_exchange_lead_to_their_queues(side: Side) -> None:
    route = side.tasks.routing_key.apply_async
    sent = [
        route(queue="topics", routing_key="news.sport.local"),
        route(queue="direct"),
        route(queue="made-when-needed"),
    ]

    assert [result.get(timeout=WAIT_S) for result in sent[:2]] == ["news.sport.local", "direct"]
    assert sent[2].state == "PENDING"


@pytest.mark.parametrize("compression", ["zlib", "gzip", "bzip2", "lzma"])
def test_arguments_travel_compressed(side: Side, compression: str) -> None:
    assert side.tasks.echo.apply_async(("ü" * 10_000,), compression=compression).get(timeout=WAIT_S) == "ü" * 10_000


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # of Celery's own backend
def test_an_aborted_task_is_told(side: Side, name: str) -> None:
    sent = side.tasks.abortable.delay(name)
    eventually(lambda: side.marks(name), within_s=WAIT_S)

    AbortableAsyncResult(sent.id, app=side.program.app).abort()

    assert sent.get(timeout=WAIT_S) == "stopped"


def test_stamps_reach_every_task_of_a_canvas(side: Side) -> None:
    canvas = chain(side.tasks.echo.si(1), group(side.tasks.stamps.si() for _ in range(2)))
    canvas.stamp(Monitoring())

    found = canvas.apply_async().get(timeout=WAIT_S)

    assert found == [{"stamped": ["tenant"], "stamps": {"tenant": "t7"}}] * 2


def test_what_has_a_stamp_can_be_revoked_by_it(side: Side, name: str) -> None:
    canvas = side.tasks.note.s(name)
    canvas.stamp(stamped_headers=["order"], order=name)
    result = canvas.apply_async(countdown=3)

    replies = side.program.app.control.revoke_by_stamped_headers({"order": [name]}, reply=True, timeout=WAIT_S, limit=1)

    assert len(replies) == 1
    eventually(lambda: result.state == "REVOKED", within_s=WAIT_S)
    assert side.marks(name) == []


def test_chunks_map_and_starmap_run(side: Side) -> None:
    echo = side.tasks.echo

    assert echo.map(range(3)).delay().get(timeout=WAIT_S) == [0, 1, 2]
    assert echo.starmap([(1,), (2,)]).delay().get(timeout=WAIT_S) == [1, 2]
    assert echo.chunks([(i,) for i in range(5)], 2).delay().get(timeout=WAIT_S) == [[0, 1], [2, 3], [4]]


def test_link_and_link_error_are_called(side: Side, name: str) -> None:
    side.tasks.echo.apply_async((name,), link=side.tasks.note.s("linked")).get(timeout=WAIT_S)
    side.tasks.picky.apply_async((name, "index"), link_error=side.tasks.note.si(f"{name} error"))

    eventually(lambda: side.marks(name)[-1:] == ["linked"] or "linked" in side.marks(name), within_s=WAIT_S)
    eventually(lambda: side.marks(f"{name} error") == ["run"], within_s=WAIT_S)


def test_a_result_can_be_forgotten(side: Side) -> None:
    result = side.tasks.echo.delay(1)
    result.get(timeout=WAIT_S)

    result.forget()

    assert side.program.app.AsyncResult(result.id).state == "PENDING"


def test_a_message_may_expire_at_a_time(side: Side, name: str) -> None:
    result = side.tasks.note.apply_async((name,), expires=-1)

    eventually(lambda: result.state == "REVOKED", within_s=WAIT_S)
    assert side.marks(name) == []
