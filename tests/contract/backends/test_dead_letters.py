"""What comes to nothing ends in one place, whatever the task system, and is run again from there."""

import time
import uuid
from typing import Any

import pytest
from dramatiq.brokers.redis import RedisBroker

from queues import DeadLetter, Decision, errors
from queues.idempotency.state import Begin, Kind
from tests.contract.backends.test_native_messages import BAD_ARGUMENTS, BAD_HEADERS, put, put_truncated
from tests.stage import Stage, eventually

NEWER = {"v": "2", "key": "ab" * 20, "fingerprint": "", "retries": 0, "priority": 5, "created": 1}
WITHIN_S = 60.0


def letter_of(stage: Stage, message_id: str) -> DeadLetter:
    """The letter of a message, waited for."""
    eventually(lambda: is_kept(stage, message_id), within_s=WITHIN_S)
    return stage.queue.dead_letters.get(message_id)


def is_kept(stage: Stage, message_id: str) -> bool:
    try:
        stage.queue.dead_letters.get(message_id)
    except errors.DeadLetterNotFoundError:
        return False
    return True


def every_letter(stage: Stage, part: str) -> list[DeadLetter]:
    """All letters whose content speaks of `part`."""
    return [letter for letter in stage.queue.dead_letters.list(limit=10_000) if part.encode() in letter.content]


def test_a_failed_task_is_a_dead_letter(stage: Stage, name: str):
    handle = stage.program.fails.send(name, 99)

    letter = letter_of(stage, handle.id)
    assert (letter.task, letter.args, letter.key) == ("program.fails", (name, 99), handle.key)
    assert (letter.error.type, letter.error.message) == ("ValueError", f"attempt 3 of {name}")
    assert "in fails" in letter.error.traceback
    assert (letter.attempts, letter.is_dead, letter.problem) == (3, False, "")
    assert len(every_letter(stage, name)) == 1


def test_a_task_whose_workers_died_is_a_dead_letter(stage: Stage, name: str):
    handle = stage.program.kills_its_worker.send_with_options((name,), delay=2.0)
    record = stage.queue.store.read(handle.key)
    for execution in ("first", "second"):
        dying = Begin("", handle.id, record.message, execution, 0, 1, 3, 60_000)
        assert stage.queue.store.apply(handle.key, dying).kind is Kind.RUN
        time.sleep(0.005)  # the lease of a worker that died at once

    letter = letter_of(stage, handle.id)
    assert (letter.is_dead, letter.lost, letter.args) == (True, 1, (name,))
    assert letter.error.code == "dead"
    assert stage.effects(name) == []


def test_a_result_that_cannot_be_encoded_is_a_dead_letter(stage: Stage, name: str):
    handle = stage.program.returns_unencodable.send(name)

    assert letter_of(stage, handle.id).error.type == "queues.errors.UnencodableError"


def test_a_completed_and_a_cancelled_task_are_none(stage: Stage, name: str):
    completed = stage.program.echo.send(name, 1)
    completed.result()
    cancelled = stage.program.spins.send(name, 20.0)
    eventually(lambda: "began" in stage.effects(name))
    cancelled.cancel()

    with pytest.raises(errors.TaskFailedError):
        cancelled.result()
    assert every_letter(stage, name) == []


def test_replayed_work_runs_again(stage: Stage, name: str):
    handle = stage.program.gives_up.send(name)
    letter_of(stage, handle.id)

    again = stage.queue.dead_letters.replay(handle.id)

    assert (again.id, again.decision) == (handle.id, Decision.EXECUTED)
    eventually(lambda: len(stage.effects(name)) == 2, within_s=WITHIN_S)
    letter_of(stage, handle.id)
    assert stage.effects(name) == ["ran", "ran"]
    assert len(every_letter(stage, name)) == 1


def test_work_is_replayed_with_other_arguments(stage: Stage, name: str):
    handle = stage.program.fails.send(name, 99)
    letter_of(stage, handle.id)

    again = stage.queue.dead_letters.replay(handle.id, args=(name, 0))

    assert again.result() == "succeeded in attempt 1"
    assert not is_kept(stage, handle.id)


def test_a_message_for_an_unknown_task_is_kept_whole(stage: Stage, name: str):
    message_id = str(uuid.uuid4())

    put(stage, message_id, f"program.nothing_{name}", (name, {"a": [1, 2.5, None]}))

    letter = letter_of(stage, message_id)
    assert (letter.task, letter.queue) == (f"program.nothing_{name}", "fast")
    assert letter.args == (name, {"a": [1, 2.5, None]})
    assert letter.error.type == "queues.errors.TaskNotFoundError"
    assert "program.echo" in letter.error.message
    assert (letter.attempts, letter.problem) == (0, "")
    assert len(every_letter(stage, name)) == 1


def test_a_message_of_a_newer_version_is_kept_and_not_run(stage: Stage, name: str):
    if stage.backend == "memory":
        pytest.skip("a message in memory has no version")
    message_id = str(uuid.uuid4())

    put(stage, message_id, "program.echo", (name, 1), NEWER)

    letter = letter_of(stage, message_id)
    assert letter.task == "program.echo"
    assert letter.error.type == "queues.errors.InvalidMessageError"
    assert "version '2'" in letter.error.message
    assert "version '2'" in letter.problem
    with pytest.raises(errors.InvalidMessageError, match="version '2'"):
        stage.queue.dead_letters.replay(message_id)
    assert stage.queue.dead_letters.replay(message_id, args=(name, 2)).result() == 2
    assert stage.effects(name) == ["ran"]


@pytest.mark.parametrize("kind", ["headers", "arguments"])
def test_messages_that_cannot_be_run_are_kept(stage: Stage, name: str, kind: str):
    if stage.backend == "memory":
        pytest.skip("arguments that do not fit fail as any call does, and there are no headers")
    bad: dict[str, tuple[Any, Any]] = {}
    if kind == "headers":
        bad = {str(uuid.uuid4()): ((name, 1), head) for head in BAD_HEADERS}
    else:
        bad = {str(uuid.uuid4()): (args, None) for args in BAD_ARGUMENTS}

    for message_id, (args, head) in bad.items():
        put(stage, message_id, "program.echo", args, head)

    for message_id, (args, _) in bad.items():
        letter = letter_of(stage, message_id)
        assert letter.task == "program.echo"
        assert letter.error.type.startswith("queues.errors.Inval")
        assert letter.args == args or letter.problem
    assert stage.effects(name) == []


def test_garbage_is_kept_byte_for_byte(stage: Stage, name: str):
    if stage.backend == "memory":
        pytest.skip("a message in memory has no bytes")

    put_truncated(stage, name)

    eventually(lambda: every_letter(stage, name), within_s=WITHIN_S)
    (letter,) = every_letter(stage, name)
    truncated = f'[[\\"{name}\\", ' if stage.backend == "celery" else f'{{"queue_name": "{name}'
    assert truncated.encode() in letter.content
    assert letter.error.type == "queues.errors.InvalidMessageError"
    with pytest.raises(errors.InvalidMessageError):
        stage.queue.dead_letters.replay(letter.id)
    assert stage.queue.dead_letters.drop(letter.id)


def test_dramatiqs_own_dead_letter_queue_has_its_entry_too(stage: Stage, name: str):
    if stage.backend != "dramatiq" or not isinstance(stage.queue.backend.broker, RedisBroker):
        pytest.skip("a queue of dead letters of its own is Dramatiq's")
    message_id = str(uuid.uuid4())

    put(stage, message_id, f"program.nothing_{name}", (name,))

    letter_of(stage, message_id)
    eventually(lambda: any(name.encode() in data for data in stage.ledger.hvals("dramatiq:fast.XQ.msgs")))
