"""What Dramatiq promises holds with `Idempotency` as without it, before and after `Retries` in the order.

Each test runs on three workers of one program, `programs/plain_dramatiq.py`, and each message has a key of its own:
what differs between the three is a failure.
"""

import uuid
from collections.abc import Iterator

import dramatiq
import pytest
from dramatiq.errors import ActorNotFound
from dramatiq.results import ResultFailure
from dramatiq_abort import abort

from tests.integration.workers.native import NativeApp, native_app
from tests.servers import ValkeyServer
from tests.stage import eventually

pytestmark = [pytest.mark.xdist_group("dramatiq stays itself"), pytest.mark.slow]
GUARDS = ("bare", "after Retries", "before Retries")
WAIT_MS = 60_000
WITHIN_S = 60.0


@pytest.fixture(scope="module", params=GUARDS)
def app(
    request: pytest.FixtureRequest, roomy_valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NativeApp]:
    url = f"{roomy_valkey.url.removesuffix('/0')}/{950 + GUARDS.index(request.param)}"
    folder = tmp_path_factory.mktemp("plain")
    with native_app("dramatiq", "plain_dramatiq", url, folder, environment={"PLAIN_GUARD": request.param}) as made:
        yield made
        made.module.broker.close()


def got(message: dramatiq.Message) -> object:
    return message.get_result(block=True, timeout=WAIT_MS)


def wait_for_notes(app: NativeApp, name: str, count: int) -> list[str]:
    eventually(lambda: len(app.notes(name)) >= count, within_s=WITHIN_S)
    # What comes too much has time to come: another message goes the whole way.
    got(app.module.give.send(f"{name}-{uuid.uuid4()}", 1))
    return app.notes(name)


def dead(app: NativeApp, message: dramatiq.Message) -> dict[str, object]:
    """The options of the message, once it is among the dead letters."""

    def found() -> list[dramatiq.Message]:
        entries = [dramatiq.Message.decode(data) for data in app.client.hvals("dramatiq:default.XQ.msgs")]
        return [entry for entry in entries if entry.message_id == message.message_id]

    eventually(found, within_s=WITHIN_S)
    return found()[0].options


def test_a_result_is_stored(app: NativeApp, name: str):
    assert got(app.module.give.send(name, {"a": [1, None]})) == {"a": [1, None]}


def test_it_retries_and_succeeds_at_last(app: NativeApp, name: str):
    assert got(app.module.fails.send(name, 2)) == "at last"
    assert app.notes(name) == ["0", "1", "2"]


def test_it_gives_up_after_its_retries_and_the_message_is_dead(app: NativeApp, name: str):
    message = app.module.fails.send(name, 9)
    with pytest.raises(ResultFailure, match=name):
        got(message)

    options = dead(app, message)
    assert app.notes(name) == ["0", "1", "2"]
    assert options["retries"] == 2
    assert "ValueError" in options["traceback"]


def test_a_retry_waits_for_its_backoff(app: NativeApp, name: str):
    app.module.fails_slowly.send(name)

    first, second = map(float, wait_for_notes(app, name, 2))
    assert second - first >= 0.3  # Dramatiq's jitter takes at most a half


def test_a_message_may_have_retries_of_its_own(app: NativeApp, name: str):
    message = app.module.fails.send_with_options(args=(name, 9), max_retries=1)

    assert dead(app, message)["retries"] == 1
    assert app.notes(name) == ["0", "1"]


def test_retry_with_a_delay_asks_for_another_attempt(app: NativeApp, name: str):
    message = app.module.asks_for_more.send_with_options(args=(name,), max_retries=1)

    assert got(message) is None
    assert app.notes(name) == ["ran"] * 2


def test_retry_when_decides(app: NativeApp, name: str):
    message = app.module.retried_when.send(name)

    assert dead(app, message)["retries"] == 2
    assert app.notes(name) == ["ran"] * 3


def test_what_an_actor_says_it_throws_is_not_retried(app: NativeApp, name: str):
    message = app.module.throws.send(name)

    assert "retries" not in dead(app, message)
    assert app.notes(name) == ["ran"]


def test_on_retry_exhausted_is_called_once(app: NativeApp, name: str):
    app.module.exhausts.send(name)

    assert wait_for_notes(app, f"{name}-exhausted", 1) == ["exhausts 1 of 1"]
    assert app.notes(name) == ["ran"] * 2


def test_a_time_limit_interrupts_and_is_retried(app: NativeApp, name: str):
    message = app.module.too_slow.send(name)

    assert "TimeLimitExceeded" in dead(app, message)["traceback"]
    assert app.notes(name) == ["ran"] * 2


def test_a_message_over_its_age_limit_is_dead_without_a_run(app: NativeApp, name: str):
    message = app.module.give.send_with_options(args=(name, 1), max_age=100, delay=1000)

    dead(app, message)
    assert app.notes(name) == []


def test_a_delayed_message_waits(app: NativeApp, name: str):
    message = app.module.note.send_with_options(args=(name,), delay=1500)
    early = got(app.module.give.send(f"{name}-before", len(app.notes(name))))

    assert got(message) is None
    assert early == 0
    assert app.notes(name) == ["None"]


def test_an_actor_may_skip_its_message(app: NativeApp, name: str):
    app.module.skips.send(name)

    assert wait_for_notes(app, name, 1) == ["ran"]


def test_a_pipeline_hands_each_result_on(app: NativeApp, name: str):
    pipe = (
        app.module.give.message(name, 1) | app.module.note.message(f"{name}-a") | app.module.note.message(f"{name}-b")
    )

    assert pipe.run().get_result(block=True, timeout=WAIT_MS) == 1
    assert [app.notes(f"{name}-{end}") for end in "ab"] == [["1"], ["1"]]


def test_a_pipeline_may_ignore_a_result(app: NativeApp, name: str):
    last = app.module.note.message_with_options(args=(f"{name}-a",), pipe_ignore=True)

    assert (app.module.give.message(name, 1) | last).run().get_result(block=True, timeout=WAIT_MS) is None
    assert app.notes(f"{name}-a") == ["None"]


def test_a_pipeline_stops_at_a_failure(app: NativeApp, name: str):
    first = app.module.throws.message(name)
    (first | app.module.note.message(f"{name}-a")).run()

    dead(app, first)
    assert wait_for_notes(app, f"{name}-a", 0) == []


def test_a_group_has_all_its_results(app: NativeApp, name: str):
    members = [app.module.give.message(f"{name}-{n}", n) for n in range(5)]

    assert list(dramatiq.group(members).run().get_results(block=True, timeout=WAIT_MS)) == [0, 1, 2, 3, 4]


def test_a_group_of_pipelines_calls_back_once_when_it_has_ended(app: NativeApp, name: str):
    members = [
        app.module.fails.message(f"{name}-{n}", n) | app.module.note.message(f"{name}-{n}-end") for n in range(3)
    ]
    grouped = dramatiq.group(members)
    grouped.add_completion_callback(app.module.note.message(f"{name}-called"))
    grouped.run()

    assert wait_for_notes(app, f"{name}-called", 1) == ["None"]
    assert [app.notes(f"{name}-{n}-end") for n in range(3)] == [["'at last'"]] * 3


@pytest.mark.parametrize(("actor", "arguments"), [("give", (7,)), ("throws", ())])
def test_callbacks_are_told_once(app: NativeApp, name: str, actor: str, arguments: tuple[object, ...]):
    callbacks = {"on_success": "on_success", "on_failure": "on_failure"}
    getattr(app.module, actor).send_with_options(args=(name, *arguments), **callbacks)

    expected = {"give": "success 7", "throws": f"KeyError: {name!r}"}
    assert wait_for_notes(app, f"{name}-callback", 1) == [expected[actor]]


def test_a_concurrent_rate_limiter_lets_one_run_at_a_time(app: NativeApp, name: str):
    for number in range(4):
        app.module.one_at_a_time.send(name, number)

    assert wait_for_notes(app, name, 8) == ["in", "out"] * 4


def test_a_window_rate_limiter_lets_so_many_run_in_a_window(app: NativeApp, name: str):
    for number in range(5):
        app.module.two_a_second.send(name, number)

    times = sorted(map(float, wait_for_notes(app, name, 5)))
    assert times[4] - times[0] > 0.5  # from the end of one second to the begin of the next but one; notes are late


def test_the_current_message_is_known(app: NativeApp, name: str):
    message = app.module.says_its_message.send(name)

    assert got(message) == [message.message_id, "says_its_message", [name]]


def test_a_high_priority_goes_first(app: NativeApp, name: str):
    # One of the worker's four threads is free before the others, once all that it may choose from is there.
    naps = [app.module.waits.send(f"{name}-{n}", fetched_first=4 if n == 0 else 0) for n in range(4)]
    eventually(lambda: all(app.notes(f"{name}-{n}") for n in range(4)), within_s=WITHIN_S)
    for number in range(2):
        app.module.low.send(name, number)
        app.module.high.send(name, number)
    app.client.set(f"go-on:{name}-0", 1)
    eventually(lambda: len(app.notes(name)) == 4, within_s=WITHIN_S)
    for n, message in enumerate(naps):
        app.client.set(f"go-on:{name}-{n}", 1)
        got(message)

    assert app.notes(name) == ["high", "high", "low", "low"]


def test_a_running_message_is_aborted(app: NativeApp, name: str):
    message = app.module.nap.send_with_options(args=(name, 20), max_retries=0)
    eventually(lambda: app.notes(name), within_s=WITHIN_S)

    abort(message.message_id, middleware=app.module.abortable)
    dead(app, message)
    assert app.notes(name) == ["began"]


def test_a_message_that_is_aborted_before_it_began_does_not_run(app: NativeApp, name: str):
    message = app.module.note.send_with_options(args=(name,), delay=1500)

    abort(message.message_id, middleware=app.module.abortable)
    got(app.module.give.send_with_options(args=(f"{name}-later", 1), delay=2000))
    assert app.notes(name) == []


def test_an_unknown_actor_is_dead(app: NativeApp, name: str):
    message = dramatiq.Message("default", f"unknown_{name}", (), {}, {})
    app.module.broker.enqueue(message)

    dead(app, message)
    with pytest.raises(ActorNotFound):
        app.module.broker.get_actor(f"unknown_{name}")
