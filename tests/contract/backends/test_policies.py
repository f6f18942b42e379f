"""What a task's policy makes of duplicates, as real workers carry it out, on every backend and broker."""

from collections.abc import Callable
from typing import Any

import pytest

from queues import Call, Decision, Handle, State, Task
from queues.asking import message_for
from queues.errors import KeyConflictError
from tests.stage import Stage, eventually

PATIENCE_S = 60.0


@pytest.fixture
def task(stage: Stage) -> Callable[[str], Task[..., Any]]:
    return lambda name: stage.program.tasks.get(f"program.{name}")


def let_go(stage: Stage, name: str) -> None:
    stage.ledger.set(f"program:gate:{name}", 1)


def running(stage: Stage, handle: Handle, name: str) -> None:
    eventually(lambda: handle.state is State.RUNNING and stage.effects(name) == ["ran-1"], within_s=PATIENCE_S)


@pytest.mark.parametrize("policy", ["replaces", "keeps_last"])
def test_queued_work_runs_once_with_the_newest_arguments(stage: Stage, name: str, task, policy: str):
    first = task(policy).send_with_options((name, 2), delay=2.0)
    others = [task(policy).send_with_options((name, value), delay=2.0) for value in (3, 4)]

    assert [handle.result(timeout=PATIENCE_S) for handle in (first, *others)] == [4, 4, 4]
    assert [handle.decision for handle in others] == [Decision.REPLACED, Decision.REPLACED]
    assert stage.effects(name) == ["ran-4"]


def test_replace_joins_running_work_and_refuses_other_arguments_for_it(stage: Stage, name: str, task):
    first = task("replaces").send(name, 1)
    running(stage, first, name)
    joined = task("replaces").send(name, 1)
    with pytest.raises(KeyConflictError):
        task("replaces").send(name, 2)
    let_go(stage, name)

    assert (joined.id, joined.decision) == (first.id, Decision.JOINED)
    assert first.result(timeout=PATIENCE_S) == 1
    assert stage.effects(name) == ["ran-1"]


def test_keep_last_follows_a_running_one_with_one_run_of_the_newest_arguments(stage: Stage, name: str, task):
    first = task("keeps_last").send(name, 1)
    running(stage, first, name)
    followers = [task("keeps_last").send(name, value) for value in (2, 3, 4)]
    let_go(stage, name)

    assert followers[-1].result(timeout=PATIENCE_S) == 4
    assert stage.effects(name) == ["ran-1", "ran-4"]


def test_a_message_that_comes_again_two_runs_later_is_no_dead_letter(stage: Stage, name: str, task):
    results = [task("keeps_last").send(name, value).result(timeout=PATIENCE_S) for value in (2, 3, 4)]
    oldest = message_for(task("keeps_last"), Call((name, 2)), 0)

    stage.queue.backend.publish(oldest)
    # The same queue, and the same workers, come to what was sent after it.
    for number in range(4):
        task("selects").send(f"{name}-after-{number}", 2).result(timeout=PATIENCE_S)

    assert results == [2, 3, 4]
    assert stage.effects(name) == ["ran-2", "ran-3", "ran-4"]
    assert [letter for letter in stage.queue.dead_letters.list(limit=10_000) if letter.key == oldest.digest] == []


def test_debounced_work_begins_once_nobody_asks_any_more(stage: Stage, name: str, task):
    handles = [task("debounces").send(name, value) for value in (2, 3, 4)]

    assert handles[-1].result(timeout=PATIENCE_S) == 4
    assert stage.effects(name) == ["ran-4"]


def test_the_chosen_arguments_make_the_key(stage: Stage, name: str, task):
    first = task("selects").send(name, 2)
    same = task("selects").send(name, 3)
    other = task("selects").send(f"{name}-other", 3)

    assert [handle.result(timeout=PATIENCE_S) for handle in (first, same, other)] == [2, 2, 3]
    assert first.id == same.id != other.id
    assert stage.effects(name) == ["ran-2"]


def test_a_lossy_task_lets_go_of_a_copy_that_finds_it_running(stage: Stage, name: str, task):
    first = task("joins_or_skips").send(name, 1)
    running(stage, first, name)
    stage.queue.backend.publish(message_for(task("joins_or_skips"), Call((name, 1)), 0))
    stage.program.echo.send(f"{name}-after", 1).result(timeout=PATIENCE_S)
    let_go(stage, name)

    assert first.result(timeout=PATIENCE_S) == 1
    assert stage.effects(name) == ["ran-1"]
