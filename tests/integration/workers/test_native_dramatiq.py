"""A Dramatiq application with the `Idempotency` middleware, on a real worker."""

import time
from collections.abc import Iterator
from pathlib import Path

import dramatiq
import pytest

from queues import State
from queues.idempotency import envelope
from queues.idempotency.state import Record
from queues.stores.redis import RedisStore
from tests.integration.workers.native import NativeApp, native_app
from tests.servers import ValkeyServer
from tests.stage import eventually

pytestmark = pytest.mark.xdist_group("native dramatiq")
WAIT_MS = 60_000
FALSY = [None, 0, False, "", [], {}]
ORDERS = {"after Retries": ({}, 910), "before Retries": ({"NATIVE_BEFORE_RETRIES": "1"}, 911)}


@pytest.fixture(scope="module", params=ORDERS)
def app(
    request: pytest.FixtureRequest, roomy_valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NativeApp]:
    environment, database = ORDERS[request.param]
    url = f"{roomy_valkey.url.removesuffix('/0')}/{database}"
    folder = tmp_path_factory.mktemp("dramatiq")
    with native_app("dramatiq", "native_dramatiq", url, folder, environment=environment) as made:
        yield made
        made.module.broker.close()


def got(message: dramatiq.Message) -> object:
    return message.get_result(block=True, timeout=WAIT_MS)


def record_of(app: NativeApp, message: dramatiq.Message) -> Record | None:
    store = RedisStore(app.url)
    try:
        return store.read(message.options["onceq"]["key"])
    finally:
        store.close()


def has_failed(app: NativeApp, message: dramatiq.Message) -> bool:
    record = record_of(app, message)
    return record is not None and record.state is State.FAILED


def test_duplicates_share_a_run_and_each_has_the_result(app: NativeApp, name: str):
    messages = [app.module.add.send(1, 2, name), app.module.add.send(1, b=2, name=name)]
    results = [got(message) for message in messages]
    later = app.module.add.send(1, 2, name)

    assert results == [3, 3]
    assert got(later) == 3
    assert app.notes(name) == ["1+2"]


@pytest.mark.parametrize("value", FALSY, ids=repr)
def test_an_empty_result_is_replayed_as_it_is(app: NativeApp, name: str, value: object):
    first = got(app.module.give.send(name, value))
    again = got(app.module.give.send(name, value))

    assert (first, again) == (value, value)
    assert type(again) is type(value)
    assert app.notes(name) == ["ran"]


def test_a_duplicate_that_arrives_during_the_run_waits_for_the_result(app: NativeApp, name: str):
    first = app.module.nap.send(name, 0.5)
    eventually(lambda: app.notes(name))
    second = app.module.nap.send(name, 0.5)

    assert [got(first), got(second)] == [name, name]
    assert app.notes(name) == ["began", "done"]


def test_pipelines_with_the_same_step_go_on(app: NativeApp, name: str):
    for next_name in (f"{name}-a", f"{name}-b"):
        (app.module.give.message(name, 5) | app.module.noted.message(next_name)).run()

    eventually(lambda: app.notes(f"{name}-a") == app.notes(f"{name}-b") == ["5"], within_s=WAIT_MS / 1000)
    assert app.notes(name) == ["ran"]


def test_a_group_with_duplicates_has_all_its_results(app: NativeApp, name: str):
    members = [app.module.add.message(1, b, name) for b in (1, 1, 2)]

    results = list(dramatiq.group(members).run().get_results(block=True, timeout=WAIT_MS))

    assert results == [2, 2, 3]
    assert sorted(app.notes(name)) == ["1+1", "1+2"]


def test_dramatiqs_retries_go_on_in_the_same_work(app: NativeApp, name: str):
    first = app.module.fails.send(name, 2)
    second = app.module.fails.send(name, 2)

    assert [got(first), got(second)] == ["at last", "at last"]
    assert app.notes(name) == ["ran"] * 3


def test_an_actor_that_has_no_retries_left_stores_its_failure(app: NativeApp, name: str):
    message = app.module.gives_up.send(name)
    eventually(lambda: has_failed(app, message), within_s=WAIT_MS / 1000)
    record = record_of(app, message)

    assert app.notes(name) == ["ran"] * 2
    assert record is not None
    _, failure = envelope.opened(record.outcome)
    assert failure is not None
    assert (failure.type, failure.message) == ("ValueError", name)


def test_a_time_limit_is_a_failure(app: NativeApp, name: str):
    message = app.module.too_slow.send(name)

    eventually(lambda: has_failed(app, message), within_s=WAIT_MS / 1000)
    assert app.notes(name) == ["ran"]


def test_an_actor_that_skips_its_message_ends(app: NativeApp, name: str):
    message = app.module.skips.send(name)

    eventually(lambda: has_failed(app, message), within_s=WAIT_MS / 1000)
    assert app.notes(name) == ["ran"]


def test_an_actor_that_wants_no_guard_runs_every_time(app: NativeApp, name: str):
    for _ in range(3):
        app.module.unguarded.send(name)

    eventually(lambda: len(app.notes(name)) == 3)


def test_arguments_that_make_no_key_are_refused_where_they_are_sent(app: NativeApp, name: str):
    with pytest.raises(TypeError):
        app.module.add.send(1, name=name)


def test_a_direct_call_is_plain(app: NativeApp, name: str):
    results = [app.module.add(1, 2, name), app.module.add(1, 2, name)]

    assert results == [3, 3]
    assert app.notes(name) == ["1+2"] * 2


@pytest.mark.slow
def test_the_work_of_a_killed_worker_goes_on_with_nobody_sending_again(app: NativeApp, name: str):
    message = app.module.nap.send(name, 2.0)
    eventually(lambda: app.notes(name) == ["began"])

    app.worker.kill()
    killed_s = time.monotonic()
    app.worker.start()

    assert got(message) == name
    print(f"\nnative dramatiq: lease 2.0 s; done {time.monotonic() - killed_s:.2f} s after the kill")
    assert app.notes(name) == ["began", "began", "done"]


def test_only_declared_actors_are_guarded_where_all_are_not(roomy_valkey: ValkeyServer, tmp_path: Path, name: str):
    url = f"{roomy_valkey.url.removesuffix('/0')}/912"
    environment = {"NATIVE_ALL_ACTORS": "0"}
    with native_app("dramatiq", "native_dramatiq", url, tmp_path, environment=environment) as app:
        for _ in range(2):
            app.module.undecided.send(f"{name}-undecided")
        given = [got(app.module.give.send(name, 1)) for _ in range(2)]
        eventually(lambda: len(app.notes(f"{name}-undecided")) == 2)
        app.module.broker.close()

        assert given == [1, 1]
        assert app.notes(name) == ["ran"]


def test_a_final_failure_is_a_dead_letter_and_replayed_it_has_all_its_retries(app: NativeApp, name: str):
    sent = app.module.gives_up.send(name)

    letter = app.letter_of(sent.message_id)
    runs = len(app.notes(name))
    assert (letter.task, letter.args, letter.attempts) == ("gives_up", (name,), runs)
    assert letter.error.type == "ValueError"
    app.letters.replay(sent.message_id)
    eventually(lambda: len(app.notes(name)) == 2 * runs, within_s=60)
    app.letter_of(sent.message_id)


def test_what_an_actor_without_a_guard_leaves_in_dramatiqs_own_queue_is_listed(app: NativeApp, name: str):
    sent = app.module.unguarded_fails.send(name)

    letter = app.letter_of(sent.message_id)
    assert (letter.task, letter.args, letter.error.type) == ("unguarded_fails", (name,), "ValueError")
    assert "no guard" in letter.problem


def test_a_message_for_an_unknown_actor_is_a_dead_letter(app: NativeApp, name: str):
    sent = app.module.broker.enqueue(dramatiq.Message("default", "nothing", (name,), {}, {}))

    letter = app.letter_of(sent.message_id)
    assert (letter.task, letter.args, letter.problem) == ("nothing", (name,), "")
    assert letter.error.type == "queues.errors.TaskNotFoundError"
