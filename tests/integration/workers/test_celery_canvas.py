"""What Celery promises of its canvas holds with `IdempotentTask` as without it, as in test_celery_stays_itself.py."""

import pytest
from celery import chain, chord, group
from celery.exceptions import ChordError

from tests.integration.workers.native import NativeApp
from tests.integration.workers.plain_celery import WAIT_S, noted, plain_app, state_of

__all__ = ["plain_app"]

pytestmark = [pytest.mark.xdist_group("celery stays itself"), pytest.mark.slow]


@pytest.fixture
def app(plain_app: NativeApp) -> NativeApp:
    return plain_app


def test_a_chain_hands_each_result_on(app: NativeApp, name: str):
    result = chain(app.module.add.s(1, 2, name=name), app.module.add.s(4), app.module.note.s(f"{name}-end"))()

    assert result.get(WAIT_S) == 7
    assert (result.parent.get(WAIT_S), result.parent.parent.get(WAIT_S)) == (7, 3)
    assert noted(app, f"{name}-end", 1) == ["7"]


def test_a_chain_stops_at_a_failure(app: NativeApp, name: str):
    result = chain(app.module.fails.si(name), app.module.note.s(f"{name}-end"))()
    with pytest.raises(ValueError, match=name):
        result.get(WAIT_S)

    assert noted(app, f"{name}-end", 0) == []


def test_a_group_has_its_results_in_order(app: NativeApp, name: str):
    result = group(app.module.give.s(f"{name}-{n}", n) for n in range(6))()

    assert result.get(WAIT_S) == [0, 1, 2, 3, 4, 5]
    assert result.successful()


def test_a_chord_is_called_once(app: NativeApp, name: str):
    result = chord(app.module.give.s(f"{name}-{n}", n) for n in range(6))(app.module.total.s(f"{name}-total"))

    assert result.get(WAIT_S) == 15
    assert noted(app, f"{name}-total", 1) == ["[0, 1, 2, 3, 4, 5]"]


def test_the_chord_of_a_failure_fails(app: NativeApp, name: str):
    members = [app.module.give.s(f"{name}-a", 1), app.module.fails.s(name)]
    result = chord(members)(app.module.total.s(f"{name}-total"))

    assert state_of(result) == "FAILURE"
    assert isinstance(result.result, ChordError)
    assert noted(app, f"{name}-total", 0) == []


def test_nested_canvases_go_through(app: NativeApp, name: str):
    add, give, total = app.module.add, app.module.give, app.module.total
    inner = chain(give.s(f"{name}-a", 1), add.s(1))
    branches = group(add.s(10), chain(add.s(20), add.s(1)))
    result = chain(inner, branches, total.s(f"{name}-total"), add.s(100, name=f"{name}-end"))()

    assert result.get(WAIT_S) == 135
    assert noted(app, f"{name}-total", 1) == ["[12, 23]"]
    assert noted(app, f"{name}-end", 1) == ["35+100"]


def test_a_chord_of_chords_goes_through(app: NativeApp, name: str):
    add, total = app.module.add, app.module.total
    inner = [chord([add.s(n, 1), add.s(n, 2)], total.s(f"{name}-{n}")) for n in range(2)]
    result = chord(inner, total.s(f"{name}-total"))()

    assert result.get(WAIT_S) == 8
    assert noted(app, f"{name}-total", 1) == ["[3, 5]"]


def test_chunks_map_and_starmap_run_their_items(app: NativeApp, name: str):
    pairs = [(n, n, f"{name}-{n}") for n in range(5)]

    assert app.module.add.chunks(pairs, 2)().get(WAIT_S) == [[0, 2], [4, 6], [8]]
    assert app.module.add.starmap(pairs[:2]).apply_async().get(WAIT_S) == [0, 2]
    assert app.module.nap.map([]).apply_async().get(WAIT_S) == []


def test_links_are_called_once_each(app: NativeApp, name: str):
    links = [app.module.note.s(f"{name}-{end}") for end in "ab"]
    app.module.give.apply_async((name, 5), link=links)

    assert [noted(app, f"{name}-{end}", 1) for end in "ab"] == [["5"], ["5"]]


def test_error_callbacks_are_called_once_each(app: NativeApp, name: str):
    links = [app.module.note_error.s(name=f"{name}-{end}") for end in "ab"]
    app.module.fails.apply_async((name,), link_error=links)

    assert [noted(app, f"{name}-{end}", 1) for end in "ab"] == [[f"ValueError: {name}"]] * 2


def test_a_task_may_be_replaced(app: NativeApp, name: str):
    assert app.module.replaced.delay(name).get(WAIT_S) == 7
    assert (app.notes(name), noted(app, f"{name}-other", 1)) == (["ran"], ["ran"])


def test_a_task_may_be_replaced_by_a_chord(app: NativeApp, name: str):
    assert app.module.replaced_by_a_chord.delay(name).get(WAIT_S) == 6
    assert noted(app, f"{name}-total", 1) == ["[0, 2, 4]"]
