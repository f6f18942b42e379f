"""The table of failures in DESIGN.md and in the README, a test a row, with real workers and SIGKILL at a named point.

What each run left behind are the marks of `programs/onceq_program.py`, with the fencing token under which it ran.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dramatiq
import pytest
import redis
from celery import chain, chord
from celery.exceptions import ChordError

from queues import Call, Decision, State, errors
from queues.asking import message_for
from tests.crash import Crash
from tests.integration.workers.conftest import Begin, StageOf
from tests.integration.workers.native import native_app
from tests.integration.workers.outcomes import assert_one_outcome_of_a_later_run, runs_of
from tests.servers import ValkeyServer
from tests.stage import LEASE_S, eventually
from tests.workers import PROGRAMS

pytestmark = pytest.mark.slow
KINDS = ("celery", "celery threads", "dramatiq")
ON_RABBITMQ = [pytest.param(kind, "rabbitmq", marks=pytest.mark.rabbitmq) for kind in ("celery", "dramatiq")]
PLACES = [*((kind, "redis") for kind in KINDS), *ON_RABBITMQ]
PATIENCE_S = 60.0
"""Far above what is measured, for a busy machine; a lost message would wait for an hour."""


def whom_of(kind: str) -> str:
    """What a crash ends: Celery's parent outlives its children; the others are one process and its master."""
    return "process" if kind == "celery" else "worker"


@pytest.mark.parametrize(("kind", "broker"), [("celery", "redis"), ("dramatiq", "redis"), *ON_RABBITMQ])
def test_a_producer_killed_after_admit_and_before_publish(stage_of, begin, tmp_path, name, kind, broker):
    stage = stage_of(kind, broker)
    begin(stage, kind)
    crash = Crash.at("after_admit", tmp_path)
    environment = {**os.environ, **stage.environment, **crash.environment}
    command = [sys.executable, "crash_producer.py", stage.backend, name]

    ended = subprocess.run(command, check=False, cwd=PROGRAMS, env=environment, timeout=PATIENCE_S)
    duplicate = stage.program.echo.send(name, 1)

    assert ended.returncode == -signal.SIGKILL
    assert duplicate.decision in (Decision.JOINED, Decision.REPLAYED)
    assert duplicate.result(timeout=PATIENCE_S) == 1
    assert duplicate.status().id == duplicate.id
    assert stage.effects(name) == ["ran"]


@pytest.mark.parametrize("point", ["begin_reply_reset", "begin_reply_lost"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_reply_to_begin_is_lost(stage_of: StageOf, begin: Begin, tmp_path: Path, name, kind, point):
    stage = stage_of(kind)
    crash = Crash.at(point, tmp_path)
    begin(stage, kind, environment=crash.environment)

    handle = stage.program.echo.send(name, 1)
    result = handle.result(timeout=PATIENCE_S)

    assert crash.has_happened
    assert result == 1
    assert stage.effects(name) == ["ran"]


@pytest.mark.parametrize(("kind", "broker"), PLACES)
def test_a_worker_is_killed_mid_task(stage_of: StageOf, begin: Begin, name: str, kind, broker):
    stage = stage_of(kind, broker)
    worker = begin(stage, kind)
    handle = stage.program.steps.send(name, 10, 0.2)
    eventually(lambda: "step-1" in stage.effects(name))

    worker.kill()
    killed_s = time.monotonic()
    worker.start()
    ready_s = time.monotonic()
    result = handle.result(timeout=PATIENCE_S)
    ended_s = time.monotonic()

    began_s = runs_of(stage, name)[1] / 1e6 - time.time() + time.monotonic()
    print(f"\n{kind} on {broker}: lease {LEASE_S} s; begun again {began_s - killed_s:.2f} s after the kill,", end=" ")
    print(f"{began_s - ready_s:.2f} s after the new worker; done {ended_s - killed_s:.2f} s after the kill")
    assert result == f"{name}: 10 steps"
    assert_one_outcome_of_a_later_run(stage, name)
    assert handle.status().token == runs_of(stage, name)[1]


@pytest.mark.parametrize("broker", ["redis", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def test_a_child_of_celery_is_killed_mid_task(stage_of: StageOf, begin: Begin, name: str, broker: str):
    stage = stage_of("celery", broker)
    worker = begin(stage, "celery")
    handle = stage.program.steps.send(name, 10, 0.2)
    eventually(lambda: "step-1" in stage.effects(name))

    os.kill(stage.marks(name)[0][1], signal.SIGKILL)
    killed_s = time.monotonic()
    result = handle.result(timeout=PATIENCE_S)

    print(f"\ncelery's child on {broker}: lease {LEASE_S} s; done {time.monotonic() - killed_s:.2f} s after the kill")
    assert result == f"{name}: 10 steps"
    assert worker.is_alive
    assert_one_outcome_of_a_later_run(stage, name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_that_kills_every_worker_is_dead_at_last(stage_of: StageOf, begin: Begin, name: str, kind):
    stage = stage_of(kind)
    worker = begin(stage, kind)
    handle = stage.program.kills_its_worker.send(name)

    worker.keep_running(lambda: handle.status().is_final, 2 * PATIENCE_S)

    assert handle.state is State.DEAD
    assert stage.effects(name) == ["ran", "ran"]  # max_lost=1
    with pytest.raises(errors.TaskFailedError) as caught:
        handle.result()
    assert caught.value.failure.code == "dead"


def test_the_chord_of_a_task_that_kills_every_worker_ends(roomy_valkey: ValkeyServer, tmp_path: Path, name: str):
    url = f"{roomy_valkey.url.removesuffix('/0')}/920"
    with native_app("celery", "native_celery", url, tmp_path) as app:
        members = [app.module.kills_its_worker.s(name), app.module.add.s(name, 1, 2)]
        result = chord(members)(app.module.total.s(f"{name}-total"))
        app.worker.keep_running(result.ready, 2 * PATIENCE_S)

        # What Celery raises of a chord is its member's error.
        with pytest.raises(errors.TaskFailedError, match="every worker"):
            result.get(PATIENCE_S)
        assert isinstance(result.result, ChordError)
        assert app.notes(name).count("ran") == 2
        assert app.notes(f"{name}-total") == []
        app.module.app.close()
        app.module.app.backend.client.close()


@pytest.mark.parametrize("point", ["after_complete", "before_ack"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_is_killed_after_complete_and_before_its_callbacks_or_its_ack(
    roomy_valkey: ValkeyServer, tmp_path: Path, name: str, kind, point: str
):
    program = f"native_{kind.partition(' ')[0]}"
    url = f"{roomy_valkey.url.removesuffix('/0')}/{921 + KINDS.index(kind)}"
    crash = Crash.at(point, tmp_path, whom=whom_of(kind))
    with native_app(kind, program, url, tmp_path, worker_environment=crash.environment) as app:
        module = app.module
        if program == "native_celery":
            chain(module.step.s(name, 7), module.last_step.s(f"{name}-next"))()
        else:
            (module.give.message(name, 7) | module.noted.message(f"{name}-next")).run()
        app.worker.keep_running(lambda: crash.has_happened and app.notes(f"{name}-next"), 2 * PATIENCE_S)

        assert crash.has_happened
        assert app.notes(name) == ["ran"]
        assert app.notes(f"{name}-next") == ["7"]
        if program == "native_celery":
            module.app.close()
            module.app.backend.client.close()
        else:
            dramatiq.get_broker().close()


@pytest.mark.parametrize(
    ("kind", "task"), [*((kind, "steps") for kind in KINDS), ("celery", "steps_async"), ("dramatiq", "steps_async")]
)
def test_a_worker_pauses_for_longer_than_its_lease(stage_of: StageOf, begin: Begin, name: str, kind, task):
    stage = stage_of(kind)
    frozen = begin(stage, kind)
    handle = getattr(stage.program, task).send(name, 8, 0.2)
    eventually(lambda: "step-1" in stage.effects(name))

    frozen.signal(signal.SIGSTOP)
    winner = begin(stage, kind)
    result = handle.result(timeout=PATIENCE_S)
    winner.kill()
    frozen.signal(signal.SIGCONT)
    # The woken worker must drop the old run and be of use again.
    after = stage.program.echo.send(f"{name}-after", 1).result(timeout=PATIENCE_S)

    assert result == f"{name}: 8 steps"
    assert after == 1
    eventually(lambda: "lost" in frozen.log or "fenced" in frozen.log)
    assert_one_outcome_of_a_later_run(stage, name)
    assert handle.status().token == runs_of(stage, name)[1]


@pytest.mark.parametrize(("kind", "broker"), PLACES)
def test_the_broker_delivers_again_while_the_owner_lives(stage_of: StageOf, begin: Begin, name: str, kind, broker):
    stage = stage_of(kind, broker)
    worker = begin(stage, kind)
    message = message_for(stage.program.brief, Call((name, "waits")), 0)

    stage.queue.backend.publish(message)
    eventually(lambda: stage.effects(name))
    stage.queue.backend.publish(message)
    eventually(lambda: "deferred by" in worker.log)
    stage.ledger.set(f"go-on:{name}", 1)
    result = stage.queue.handle(message.id).result(timeout=PATIENCE_S)
    again = stage.program.brief.send(name, "waits")

    assert result == "waits"
    assert (again.decision, again.result()) == (Decision.REPLAYED, "waits")
    assert stage.effects(name) == ["ran"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_retry_is_written_and_its_message_is_not_published(stage_of, begin, tmp_path, name, kind):
    stage = stage_of(kind)
    crash = Crash.at("after_wait", tmp_path, whom=whom_of(kind))
    worker = begin(stage, kind, environment=crash.environment)

    handle = stage.program.fails.send(name, 1)
    worker.keep_running(lambda: handle.status().is_final, 2 * PATIENCE_S)

    assert crash.has_happened
    assert handle.result() == "succeeded in attempt 2"
    assert stage.effects(name) == ["attempt-1", "attempt-2"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_store_is_away_when_a_message_is_delivered(stage_of, begin, roomy_valkey, tmp_path: Path, name, kind):
    with ValkeyServer(tmp_path / "valkey", fsync="always") as server:
        stage = stage_of(kind, f"{roomy_valkey.url.removesuffix('/0')}/930", redis_url=server.url)
        worker = begin(stage, kind)
        message = message_for(stage.program.echo, Call((name, 1)), 0)

        server.kill()
        stage.queue.backend.publish(message)
        eventually(lambda: f"{message.id} deferred by" in worker.log)
        server.start()

        assert stage.queue.handle(message.id).result(timeout=PATIENCE_S) == 1
        assert stage.effects(name) == ["ran"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_that_fails_open_runs_while_the_store_is_away(stage_of, begin, roomy_valkey, tmp_path: Path, name, kind):
    marks = f"{roomy_valkey.url.removesuffix('/0')}/931"
    with ValkeyServer(tmp_path / "valkey", fsync="always") as server:
        stage = stage_of(kind, marks, redis_url=server.url)
        stage.marks_url = marks
        stage.ledger = redis.Redis.from_url(marks)
        begin(stage, kind)
        message = message_for(stage.program.tasks.get("program.runs_open"), Call((name,)), 0)

        server.kill()
        stage.queue.backend.publish(message)
        eventually(lambda: stage.effects(name) == ["ran"], within_s=PATIENCE_S)
        server.start()
