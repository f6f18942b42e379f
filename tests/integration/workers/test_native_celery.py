"""A Celery application whose tasks are `IdempotentTask`s, on a real worker."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import chain, chord, group
from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded

from queues import errors
from tests.integration.workers.native import NativeApp, native_app
from tests.servers import ValkeyServer
from tests.stage import eventually

pytestmark = pytest.mark.xdist_group("native celery")
WAIT_S = 60
OPTIONS = [{"countdown": 0.4}, {"priority": 3}, {"expires": 600}, {"headers": {"x": 1}}]
FALSY = [None, 0, False, "", [], {}]


@pytest.fixture(scope="module")
def app(roomy_valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeApp]:
    url = f"{roomy_valkey.url.removesuffix('/0')}/900"
    with native_app("celery", "native_celery", url, tmp_path_factory.mktemp("celery")) as made:
        yield made
        made.module.app.close()
        made.module.app.backend.client.close()


def has_failure(task: Any, task_id: str) -> bool:
    try:
        task.get_cached_result(task_id)
    except errors.TaskFailedError:
        return True
    return False


def test_duplicates_share_a_run_and_a_result(app: NativeApp, name: str):
    first = app.module.add.delay(name, 1, 2)
    second = app.module.add.delay(name, a=1, b=2)
    results = [first.get(WAIT_S), second.get(WAIT_S)]
    later = app.module.add.delay(name, 1, 2)

    assert first.id == second.id
    assert results == [3, 3]
    assert later.get(WAIT_S) == 3
    assert app.notes(name) == ["1+2"]


@pytest.mark.parametrize("value", FALSY, ids=repr)
def test_an_empty_result_is_replayed_as_it_is(app: NativeApp, name: str, value: object):
    first = app.module.give.delay(name, value).get(WAIT_S)
    again = app.module.give.delay(name, value).get(WAIT_S)

    assert (first, again) == (value, value)
    assert type(again) is type(value)
    assert app.notes(name) == ["ran"]


def test_every_duplicates_link_is_called(app: NativeApp, name: str):
    for link in ("a", "b"):
        app.module.add.apply_async((name, 2, 3), link=app.module.noted.s(f"{name}-{link}"))

    eventually(lambda: app.notes(f"{name}-a") == app.notes(f"{name}-b") == ["5"], within_s=WAIT_S)
    assert app.notes(name) == ["2+3"]


def test_every_duplicates_error_callback_is_called(app: NativeApp, name: str):
    for link in ("a", "b"):
        app.module.fails.apply_async((name,), link_error=app.module.noted_error.s(name=f"{name}-{link}"))

    eventually(lambda: app.notes(f"{name}-a") and app.notes(f"{name}-b"), within_s=WAIT_S)
    assert app.notes(f"{name}-a") == ["ValueError"]


def test_chains_with_the_same_step_go_on(app: NativeApp, name: str):
    first = chain(app.module.add.s(name, 1, 1), app.module.noted.s(f"{name}-a"))()
    second = chain(app.module.add.s(name, 1, 1), app.module.noted.s(f"{name}-b"))()

    assert [first.get(WAIT_S), second.get(WAIT_S)] == [2, 2]
    assert app.notes(name) == ["1+1"]


def test_a_group_with_duplicates_has_all_its_results(app: NativeApp, name: str):
    members = [app.module.add.s(name, 1, 1), app.module.add.s(name, 1, 1), app.module.add.s(name, 2, 2)]

    results = group(members).apply_async().get(WAIT_S)

    assert results == [2, 2, 4]
    assert sorted(app.notes(name)) == ["1+1", "2+2"]


def test_a_chord_with_duplicates_is_called_once_with_all_results(app: NativeApp, name: str):
    members = [app.module.add.s(name, 1, 1)] * 3

    result = chord(members)(app.module.total.s(f"{name}-total"))

    assert result.get(WAIT_S) == 6
    assert app.notes(name) == ["1+1"]
    assert app.notes(f"{name}-total") == ["ran"]


def test_celerys_retry_goes_on_in_the_same_work(app: NativeApp, name: str):
    first = app.module.asks_again.delay(name, 2)
    second = app.module.asks_again.delay(name, 2)

    assert first.id == second.id
    assert first.get(WAIT_S) == 2
    assert app.notes(name) == ["ran"] * 3


def test_a_task_that_has_no_retries_left_stores_its_failure(app: NativeApp, name: str):
    result = app.module.gives_up.delay(name)
    with pytest.raises(ValueError, match=name):
        result.get(WAIT_S)
    task_id = app.module.gives_up.generate_task_id((name,))

    assert app.notes(name) == ["ran"] * 2
    with pytest.raises(errors.TaskFailedError, match=name):
        app.module.gives_up.get_cached_result(task_id)


def test_autoretry_goes_on_in_the_same_work(app: NativeApp, name: str):
    assert app.module.retried_by_celery.delay(name, 2).get(WAIT_S) == "at last"
    assert app.notes(name) == ["ran"] * 3
    assert app.module.retried_by_celery.delay(name, 2).get(WAIT_S) == "at last"
    assert app.notes(name) == ["ran"] * 3


def test_a_failed_task_may_be_sent_again(app: NativeApp, name: str):
    for _ in range(2):
        with pytest.raises(ValueError, match=name):
            app.module.fails.delay(name).get(WAIT_S)

    assert app.notes(name) == ["ran"] * 2


def test_a_programs_own_lock_keeps_others_out(app: NativeApp, name: str):
    task = app.module.add
    task_id = task.generate_task_id((name, 1), {"b": 2})
    same_id = task.generate_task_id((name,), {"a": 1, "b": 2})
    taken, taken_again = task.acquire_lock(task_id), task.acquire_lock(task_id)
    before = task.get_cached_result(task_id, default="nothing")
    stored = task.cache_result(task_id, 0)

    assert task_id == same_id
    assert (taken, taken_again) == (True, False)
    assert before == "nothing"
    assert stored is True
    assert task.get_cached_result(task_id, default="nothing") == 0
    assert task.acquire_lock(task_id) is False
    assert task.cache_result(task_id, 1) is False
    assert task.delay(name, 1, 2).get(WAIT_S) == 0
    assert app.notes(name) == []


def test_a_released_lock_can_be_taken_again(app: NativeApp, name: str):
    task = app.module.add
    task_id = task.generate_task_id((name, 1))
    taken = task.acquire_lock(task_id)
    released = task.release_lock(task_id)
    released_again = task.release_lock(task_id)

    assert (taken, released, released_again) == (True, True, False)
    assert task.acquire_lock(task_id) is True
    assert task.release_lock(task_id) is True


def test_a_direct_call_and_apply_are_plain(app: NativeApp, name: str):
    results = [app.module.add(name, 1, 2), app.module.add(name, 1, 2), app.module.add.apply((name, 1, 2)).get()]

    assert results == [3, 3, 3]
    assert app.notes(name) == ["1+2"] * 3


def test_a_message_that_a_task_gives_back_runs_again(app: NativeApp, name: str):
    result = app.module.wants_back.delay(name)

    assert result.get(WAIT_S) == "taken"
    assert app.notes(name) == ["ran"] * 2


def test_a_task_that_wants_to_be_ignored_ends(app: NativeApp, name: str):
    app.module.refuses.delay(name)
    task_id = app.module.refuses.generate_task_id((name,))
    eventually(lambda: has_failure(app.module.refuses, task_id))

    assert app.notes(name) == ["ran"]


def test_a_soft_time_limit_is_a_failure(app: NativeApp, name: str):
    result = app.module.too_slow.delay(name)

    with pytest.raises(SoftTimeLimitExceeded):
        result.get(WAIT_S)
    assert app.notes(name) == ["ran"]


def test_a_task_that_celery_kills_at_its_time_limit_has_failed_here_too(app: NativeApp, name: str):
    result = app.module.far_too_slow.delay(name)

    task_id = app.module.far_too_slow.generate_task_id((name,))
    with pytest.raises(TimeLimitExceeded):
        result.get(WAIT_S)
    eventually(lambda: has_failure(app.module.far_too_slow, task_id))
    with pytest.raises(errors.TaskFailedError) as caught:
        app.module.far_too_slow.get_cached_result(task_id)
    assert caught.value.failure.code == "time_limit"
    assert app.notes(name) == ["ran"]


def test_a_task_that_replaces_itself_ends_with_the_replacements_result(app: NativeApp, name: str):
    result = app.module.replaced.delay(name)

    assert result.get(WAIT_S) == 7
    assert app.notes(name) == ["ran"]
    assert app.notes(f"{name}-replacement") == ["ran"]


@pytest.mark.parametrize(
    "options", [{"countdown": 0.4}, {"priority": 3}, {"expires": 600}, {"headers": {"x": 1}}], ids=str
)
def test_options_of_celery_keep_the_guard(app: NativeApp, name: str, options: dict[str, object]):
    results = [app.module.add.apply_async((name, 1, 2), **options) for _ in range(2)]

    assert [result.get(WAIT_S) for result in results] == [3, 3]
    assert app.notes(name) == ["1+2"]


@pytest.mark.slow
def test_the_work_of_a_killed_worker_goes_on_with_nobody_sending_again(app: NativeApp, name: str):
    result = app.module.nap.delay(name, 2.0)
    eventually(lambda: app.notes(name) == ["began"])

    app.worker.kill()
    killed_s = time.monotonic()
    app.worker.start()

    assert result.get(WAIT_S) == name
    print(f"\nnative celery: lease 2.0 s; done {time.monotonic() - killed_s:.2f} s after the kill")
    assert app.notes(name) == ["began", "began", "done"]


def test_a_final_failure_is_a_dead_letter_and_replayed_it_has_all_its_retries(app: NativeApp, name: str):
    sent = app.module.gives_up.delay(name)

    letter = app.letter_of(sent.id)
    assert (letter.task, letter.args, letter.attempts) == ("native_celery.gives_up", (name,), 2)
    assert letter.error.type == "ValueError"
    app.letters.replay(sent.id)
    eventually(lambda: app.notes(name) == ["ran"] * 4, within_s=60)
    app.letter_of(sent.id)


def test_what_wants_to_be_ignored_is_no_dead_letter(app: NativeApp, name: str):
    sent = app.module.refuses.delay(name)
    task_id = app.module.refuses.generate_task_id((name,))
    eventually(lambda: has_failure(app.module.refuses, task_id))

    assert sent.id not in [letter.id for letter in app.letters.list(limit=1_000)]


def test_a_message_for_a_task_that_the_app_does_not_know_is_a_dead_letter(app: NativeApp, name: str):
    sent = app.module.app.send_task("native_celery.nothing", (name,), link=app.module.noted.s(name))

    letter = app.letter_of(sent.id)
    assert (letter.task, letter.args) == ("native_celery.nothing", (name,))
    assert letter.error.type == "queues.errors.TaskNotFoundError"
    assert b"native_celery.noted" in letter.content
