"""Short tasks on Dramatiq with Redis: what was fetched together is begun in one round trip, and ended in one."""

import json
import os
import secrets
import signal

import dramatiq
import pytest

from queues import Handle, State
from queues.backends.dramatiq.messages import HEADER, header
from queues.errors import TaskFailedError
from tests.integration.workers.conftest import Begin, StageOf
from tests.stage import Stage, eventually
from tests.workers import Worker

MATES = 6
PATIENCE_S = 60.0
FETCHES_MANY = {"dramatiq_queue_prefetch": "16"}
LONG_LEASE = {"PROGRAM_LEASE_S": "60"}


@pytest.fixture
def stage(stage_of: StageOf) -> Stage:
    return stage_of("dramatiq")


def begun_and_warm(stage: Stage, begin: Begin, **environment: str) -> Worker:
    """A worker of one thread that knows that the task is short."""
    told = {**FETCHES_MANY, "PROGRAM_SHORT_MS": "10000", **environment}
    worker = begin(stage, "dramatiq", concurrency=1, environment=told)
    for handle in stage.program.brief.send_many([(f"warm-{worker.pid}-{n}", "") for n in range(30)]):
        handle.result(timeout=PATIENCE_S)
    return worker


def behind(stage: Stage, name: str, what: str) -> tuple[Handle, list[Handle]]:
    """A task that does not end at once, and others that were fetched with it."""
    first, *mates = stage.program.brief.send_many([(name, what), *((f"{name}-{n}", "") for n in range(MATES))])
    return first, mates


def test_the_worker_does_not_ask_for_each_task(stage: Stage, begin: Begin, name: str):
    begun_and_warm(stage, begin)
    handles = stage.program.brief.send_many([(f"{name}-{n}", "") for n in range(400)])
    reads = stage.ledger.info("stats")["total_reads_processed"]

    last = handles[-1].result(timeout=PATIENCE_S)
    took = stage.ledger.info("stats")["total_reads_processed"] - reads

    # The mark that each leaves is one, and its `begin` and `complete` would be two more.
    assert last == ""
    assert took < 2 * len(handles)
    assert {handle.result() for handle in handles} == {""}


def test_what_a_killed_worker_had_begun_runs_elsewhere_when_its_lease_is_over(stage: Stage, begin: Begin, name: str):
    worker = begun_and_warm(stage, begin)
    first, mates = behind(stage, name, "waits")
    eventually(lambda: [mate.state for mate in mates] == [State.RUNNING] * MATES)

    worker.kill()
    stage.ledger.set(f"go-on:{name}", 1)
    worker.start()

    assert first.result(timeout=PATIENCE_S) == "waits"
    assert [mate.result(timeout=PATIENCE_S) for mate in mates] == [""] * MATES
    assert [stage.effects(f"{name}-{n}") for n in range(MATES)] == [["ran"]] * MATES


def test_what_was_begun_goes_back_when_the_worker_stops(stage: Stage, begin: Begin, name: str):
    worker = begun_and_warm(stage, begin, **LONG_LEASE)
    first, mates = behind(stage, name, "waits")
    eventually(lambda: [mate.state for mate in mates] == [State.RUNNING] * MATES)

    worker.ask_to_stop()
    stage.ledger.set(f"go-on:{name}", 1)
    worker.wait()
    states = {mate.state for mate in mates}
    worker.start()

    assert states <= {State.QUEUED, State.COMPLETED}
    assert first.result(timeout=PATIENCE_S) == "waits"
    assert [mate.result(timeout=PATIENCE_S) for mate in mates] == [""] * MATES
    assert [stage.effects(f"{name}-{n}") for n in range(MATES)] == [["ran"]] * MATES


def test_a_worker_that_was_stopped_starts_nothing_that_another_has_done(stage: Stage, begin: Begin, name: str):
    worker = begun_and_warm(stage, begin)
    first, mates = behind(stage, name, "waits")
    eventually(lambda: [mate.state for mate in mates] == [State.RUNNING] * MATES)

    os.killpg(worker.pid, signal.SIGSTOP)
    begin(stage, "dramatiq", concurrency=2)
    ended = [mate.result(timeout=PATIENCE_S) for mate in mates]
    stage.ledger.set(f"go-on:{name}", 1)
    os.killpg(worker.pid, signal.SIGCONT)
    eventually(lambda: stage.queue.backend.broker.do_qsize("fast") == 0, within_s=PATIENCE_S)

    assert ended == [""] * MATES
    assert first.result(timeout=PATIENCE_S) == "waits"
    assert [stage.effects(f"{name}-{n}") for n in range(MATES)] == [["ran"]] * MATES


def test_a_task_that_kills_its_worker_takes_none_with_it(stage: Stage, begin: Begin, name: str):
    worker = begun_and_warm(stage, begin)
    first, mates = behind(stage, name, "dies")

    worker.keep_running(
        lambda: first.state is State.DEAD and all(mate.state is State.COMPLETED for mate in mates), within_s=240
    )

    with pytest.raises(TaskFailedError):
        first.result()
    assert [stage.effects(f"{name}-{n}") for n in range(MATES)] == [["ran"]] * MATES


def test_what_has_run_is_stored_before_a_task_that_may_end_the_process(stage: Stage, begin: Begin, name: str):
    begun_and_warm(stage, begin)
    pairs = []
    for number in range(20):
        ran = stage.program.brief.send(f"{name}-{number}", "")
        pairs.append((ran, stage.program.looks_at.send(ran.id)))

    assert [looks.result(timeout=PATIENCE_S) for _, looks in pairs] == [State.COMPLETED.value] * 20


def test_an_outcome_that_cannot_be_stored_keeps_no_other_back(stage: Stage, begin: Begin, name: str):
    begun_and_warm(stage, begin)
    first, mates = behind(stage, name, "spoils its record")

    assert [mate.result(timeout=PATIENCE_S) for mate in mates] == [""] * MATES
    assert stage.program.brief.send(f"{name}-later", "").result(timeout=PATIENCE_S) == ""
    assert stage.effects(name) == ["ran"]
    stage.ledger.delete(*stage.queue.store.keys.of(first.id.partition("-")[0]))


def test_a_message_without_an_encoding_keeps_no_other_back(stage: Stage, begin: Begin, name: str):
    worker = begun_and_warm(stage, begin)
    broker = stage.queue.backend.broker
    os.killpg(worker.pid, signal.SIGSTOP)
    for what in ("\ud800", "", "", ""):
        options = {HEADER: header(secrets.token_hex(20), "")}
        native = dramatiq.Message("fast", "program.brief", (f"{name}-{broker.do_qsize('fast')}", what), {}, options)
        broker.enqueue(native)
    os.killpg(worker.pid, signal.SIGCONT)

    eventually(lambda: [stage.effects(f"{name}-{n}") for n in (1, 2, 3)] == [["ran"]] * 3, within_s=PATIENCE_S)


def test_messages_with_odd_parts_keep_no_other_back(stage: Stage, begin: Begin, name: str):
    worker = begun_and_warm(stage, begin)
    odd = [{"kwargs": 5}, {"options": None}, {"options": {}}, {"actor_name": ["brief"]}, {"message_id": 5}]
    native = dramatiq.Message("fast", "program.brief", (f"{name}-0", ""), {}, {"redis_message_id": name})
    os.killpg(worker.pid, signal.SIGSTOP)
    for number, part in enumerate(odd):
        stage.ledger.hset("dramatiq:fast.msgs", f"{name}-{number}", json.dumps(native.asdict() | part))
        stage.ledger.rpush("dramatiq:fast", f"{name}-{number}")
    handles = stage.program.brief.send_many([(f"{name}-{number}", "") for number in range(3)])
    os.killpg(worker.pid, signal.SIGCONT)

    assert [handle.result(timeout=PATIENCE_S) for handle in handles] == [""] * 3
    eventually(lambda: len(stage.queue.dead_letters.list()) == len(odd), within_s=PATIENCE_S)


def test_an_outcome_is_stored_although_the_next_task_takes_long(stage: Stage, begin: Begin, name: str):
    begun_and_warm(stage, begin)
    before, first = stage.program.brief.send_many([(f"{name}-before", ""), (name, "waits")])

    assert before.result(timeout=PATIENCE_S) == ""
    assert first.state is State.RUNNING
    stage.ledger.set(f"go-on:{name}", 1)
    assert first.result(timeout=PATIENCE_S) == "waits"


def test_behind_a_long_task_nothing_is_begun(stage: Stage, begin: Begin, name: str):
    begin(stage, "dramatiq", concurrency=1, environment=FETCHES_MANY)
    first, *mates = stage.program.steps.send_many([(name, 8, 0.1), *((f"{name}-{n}", 1, 0.0) for n in range(MATES))])
    eventually(lambda: "step-1" in stage.effects(name))

    states = {mate.state for mate in mates}

    assert states == {State.QUEUED}
    assert [mate.result(timeout=PATIENCE_S) for mate in mates]
    assert first.state is State.COMPLETED


def test_a_long_task_is_not_short_by_what_repetitions_of_it_take(stage: Stage, begin: Begin, name: str):
    begin(stage, "dramatiq", concurrency=1, environment=FETCHES_MANY)
    before = stage.program.steps.send(f"{name}-before", 8, 0.1)
    before.result(timeout=PATIENCE_S)
    broker = stage.queue.backend.broker
    options = {HEADER: header(before.key, "")}
    for _ in range(60):
        broker.enqueue(dramatiq.Message("slow", "program.steps", (f"{name}-before", 8, 0.1), {}, options))
    eventually(lambda: broker.do_qsize("slow") == 0, within_s=PATIENCE_S)

    first, *mates = stage.program.steps.send_many([(name, 8, 0.1), *((f"{name}-{n}", 1, 0.0) for n in range(MATES))])
    eventually(lambda: "step-1" in stage.effects(name), within_s=PATIENCE_S)

    assert {mate.state for mate in mates} == {State.QUEUED}
    assert stage.effects(f"{name}-before").count("step-1") == 1
    assert first.result(timeout=PATIENCE_S)
