"""Celery and Dramatiq with workers at the same time, over the same records."""

import threading

import pytest

from queues import Call, Decision, Handle, connect
from queues.asking import message_for
from tests.integration.workers.conftest import Begin, StageOf
from tests.stage import Stage, eventually

TASKS = 500


@pytest.fixture
def both(stage_of: StageOf, begin: Begin) -> tuple[Stage, Stage]:
    """The same tasks on Celery and on Dramatiq, each with a worker."""
    celery = stage_of("celery")
    dramatiq = stage_of("dramatiq", redis_url=celery.redis_url)
    begin(celery, "celery")
    begin(dramatiq, "dramatiq")
    return celery, dramatiq


def test_messages_that_were_sent_to_both_run_once(both: tuple[Stage, Stage], name: str):
    celery, dramatiq = both
    messages = [message_for(celery.program.echo, Call((f"{name}-{n}", n)), 0) for n in range(20)]

    for message in messages:
        dramatiq.queue.backend.publish(message)
        celery.queue.backend.publish(message)
    results = [celery.queue.handle(message.id).result(timeout=60) for message in messages]

    assert results == list(range(20))
    assert [celery.effects(f"{name}-{n}") for n in range(20)] == [["ran"]] * 20


def test_a_copy_on_the_other_backend_waits_for_the_run_and_does_not_run(both: tuple[Stage, Stage], name: str):
    celery, dramatiq = both
    message = message_for(celery.program.steps, Call((name, 5, 0.2)), 0)

    celery.queue.backend.publish(message)
    eventually(lambda: celery.effects(name))
    dramatiq.queue.backend.publish(message)
    result = dramatiq.queue.handle(message.id).result()
    eventually(lambda: dramatiq.queue.unfinished() == 0)

    assert result == f"{name}: 5 steps"
    assert celery.effects(name).count("done") == 1


def test_a_submission_to_the_other_backend_joins_and_is_replayed(both: tuple[Stage, Stage], name: str):
    celery, dramatiq = both
    first = celery.program.steps.send(name, 10, 0.1)
    joined = dramatiq.program.steps.send(name, 10, 0.1)
    result = joined.result()
    replayed = dramatiq.program.steps.send(name, 10, 0.1)

    assert (joined.id, joined.decision) == (first.id, Decision.JOINED)
    assert (replayed.result(), replayed.decision) == (result, Decision.REPLAYED)
    assert celery.effects(name).count("done") == 1


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new"), [("celery", "dramatiq"), ("dramatiq", "celery")])
def test_a_move_under_load_loses_and_repeats_nothing(
    both: tuple[Stage, Stage], monkeypatch: pytest.MonkeyPatch, name: str, old: str, new: str
):
    celery, _ = both
    moved = threading.Event()
    handles: dict[int, Handle] = {}

    def submit(numbers: range) -> None:
        for n in numbers:
            handles[n] = celery.program.echo.send(f"{name}-{n}", n)
            if n >= TASKS // 3:
                moved.wait(60)

    for variable in ("CELERY_BROKER_URL", "DRAMATIQ_BROKER_URL"):
        monkeypatch.setenv(variable, celery.redis_url)
    monkeypatch.setenv("QUEUES_BACKEND", old)
    before = connect(celery.program.tasks)
    producers = [threading.Thread(target=submit, args=(range(start, TASKS, 4),)) for start in range(4)]
    for producer in producers:
        producer.start()
    eventually(lambda: len(handles) > TASKS // 3)
    monkeypatch.setenv("QUEUES_BACKEND", new)
    after = connect(celery.program.tasks)
    moved.set()
    for producer in producers:
        producer.join()
    again = [celery.program.echo.send(f"{name}-{n}", n) for n in range(TASKS)]
    results = [handle.result(timeout=60) for handle in again]
    eventually(lambda: after.unfinished() == 0)

    assert (before.backend.name, after.backend.name) == (old, new)
    assert results == list(range(TASKS))
    assert [handle.id for handle in again] == [handles[n].id for n in range(TASKS)]
    assert [n for n in range(TASKS) if celery.effects(f"{name}-{n}") != ["ran"]] == []
    before.close()
    after.close()
