"""The metrics of real workers: the same names on every backend, summed over children, also over killed ones."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from queues import Call
from queues.asking import message_for
from tests.integration.workers.conftest import Begin, StageOf
from tests.integration.workers.native import native_app
from tests.ports import free_port
from tests.scrape import Scrape, scraped
from tests.servers import ValkeyServer
from tests.stage import Stage, eventually
from tests.workers import Kind, Worker

KINDS: tuple[Kind, ...] = ("celery", "celery threads", "dramatiq")
TWO_PROCESSES = {"celery": (), "celery threads": (), "dramatiq": ("--processes", "2")}
PATIENCE_S = 60.0
Measured = Callable[[Kind], tuple[Stage, Worker]]


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    """A free port, and a folder of this test's own for the numbers of the processes."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return free_port()


@pytest.fixture
def measured(stage_of: StageOf, begin: Begin, port: int, monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Begins a worker of two processes, or threads, with an endpoint."""

    def start(kind: Kind) -> tuple[Stage, Worker]:
        stage = stage_of(kind)  # before the setting: it is the worker's, and not this producer's
        monkeypatch.setenv("QUEUES_METRICS_PORT", str(port))
        return stage, begin(stage, kind, arguments=TWO_PROCESSES[kind])

    return start


def seen(port: int, is_true: Callable[[Scrape], bool]) -> Scrape:
    """The first scrape of which the claim holds."""
    found: list[Scrape] = []

    def look() -> bool:
        found.append(scraped(port))
        return is_true(found[-1])

    eventually(look, within_s=PATIENCE_S)
    return found[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_counters_say_what_happened(measured: Measured, port: int, name: str, kind: Kind):
    stage, _ = measured(kind)
    backend, program = stage.queue.backend, stage.program

    finished = message_for(program.echo, Call((name, 1)), 0)
    backend.publish(finished)
    stage.queue.handle(finished.id).result(timeout=PATIENCE_S)
    backend.publish(finished)  # delivered once more
    program.fails.send(f"{name}-f", 1).result(timeout=PATIENCE_S)
    program.steps.send(f"{name}-s", 4, 0.2).result(timeout=PATIENCE_S)
    running = message_for(program.brief, Call((f"{name}-b", "waits")), 0)
    backend.publish(running)
    eventually(lambda: stage.effects(f"{name}-b"))
    backend.publish(running)  # a copy, while the first runs
    seen(port, lambda s: s.total("onceq_tasks_deferred_total", task="program.brief", reason="busy") >= 1)
    stage.ledger.set(f"go-on:{name}-b", 1)
    stage.queue.handle(running.id).result(timeout=PATIENCE_S)
    stopped = program.spins.send(f"{name}-l", 60)
    eventually(lambda: stage.effects(f"{name}-l"))
    stage.ledger.delete(*stage.queue.store.keys.of(stopped.key)[:2])  # the store forgets who runs

    told = seen(
        port,
        lambda s: (
            s.total("onceq_tasks_fenced_total") == 1
            and s.total("onceq_tasks_replayed_total", task="program.brief") == 1
            and s.total("onceq_tasks_replayed_total", task="program.echo") == 1
        ),
    )
    fast, slow = {"queue": "fast"}, {"queue": "slow"}
    assert told.total("onceq_tasks_executed_total", task="program.echo", outcome="completed", **fast) == 1
    assert told.total("onceq_tasks_executed_total", task="program.fails", outcome="retried", **fast) == 1
    assert told.total("onceq_tasks_executed_total", task="program.fails", outcome="completed", **fast) == 1
    assert told.total("onceq_tasks_executed_total", task="program.steps", outcome="completed", **slow) == 1
    assert told.total("onceq_tasks_executed_total", task="program.spins", outcome="fenced") == 1
    assert told.total("onceq_leases_lost_total", task="program.spins") == 1
    assert told.total("onceq_task_run_seconds_count", task="program.steps") == 1
    assert 0.8 <= told.total("onceq_task_run_seconds_sum", task="program.steps") < PATIENCE_S
    assert told.total("onceq_task_queue_seconds_count", task="program.fails") == 1


@pytest.mark.parametrize("kind", ["celery", "dramatiq"])
def test_the_endpoint_adds_up_the_children(measured: Measured, port: int, name: str, kind: Kind):
    stage, _ = measured(kind)

    sent: list[str] = []
    pids: set[int] = set()

    def both_have_worked() -> bool:
        names = [f"{name}-{len(sent) + n}" for n in range(50)]  # one child may have taken all that went before
        sent.extend(names)
        for handle in stage.program.echo.send_many([(told, 1) for told in names]):
            handle.result(timeout=PATIENCE_S)
        pids.update(pid for told in names for _, pid, _, _ in stage.marks(told))
        return len(pids) == 2

    eventually(both_have_worked, within_s=PATIENCE_S)

    told = seen(
        port, lambda s: s.total("onceq_tasks_executed_total", task="program.echo", outcome="completed") >= len(sent)
    )
    assert told.total("onceq_tasks_executed_total", task="program.echo", outcome="completed") == len(sent)
    assert told.total("onceq_task_run_seconds_bucket", task="program.echo", le="+Inf") == len(sent)


def test_a_killed_child_of_celery_keeps_its_numbers_and_its_work_is_counted_as_taken_over(
    measured: Measured, port: int, name: str
):
    stage, _ = measured("celery")
    for handle in stage.program.echo.send_many([(f"{name}-{n}", n) for n in range(50)]):
        handle.result(timeout=PATIENCE_S)
    seen(port, lambda s: s.total("onceq_tasks_executed_total", task="program.echo") == 50)

    handle = stage.program.steps.send(f"{name}-k", 6, 0.3)
    eventually(lambda: stage.marks(f"{name}-k"))
    os.kill(stage.marks(f"{name}-k")[0][1], signal.SIGKILL)
    handle.result(timeout=PATIENCE_S)

    told = seen(port, lambda s: s.total("onceq_tasks_executed_total", task="program.steps") == 1)
    assert told.total("onceq_tasks_executed_total", task="program.echo") == 50
    assert told.total("onceq_tasks_taken_over_total", task="program.steps") == 1


def test_a_dramatiq_worker_that_begins_again_serves_at_once_and_counts_anew(measured: Measured, port: int, name: str):
    stage, worker = measured("dramatiq")
    stage.program.echo.send(name, 1).result(timeout=PATIENCE_S)
    seen(port, lambda s: s.total("onceq_tasks_executed_total") == 1)
    handle = stage.program.steps.send(f"{name}-k", 6, 0.3)
    eventually(lambda: stage.marks(f"{name}-k"))

    os.kill(stage.marks(f"{name}-k")[0][1], signal.SIGKILL)
    eventually(lambda: not worker.is_alive, within_s=PATIENCE_S)  # Dramatiq's master ends with a child
    worker.restart()
    handle.result(timeout=PATIENCE_S)

    told = seen(port, lambda s: s.total("onceq_tasks_executed_total", task="program.steps") == 1)
    assert told.total("onceq_tasks_executed_total", task="program.echo") == 0
    assert told.total("onceq_tasks_taken_over_total", task="program.steps") == 1


def test_a_worker_whose_port_is_taken_works_without_its_endpoint(
    stage_of: StageOf, begin: Begin, roomy_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, name: str
):
    stage = stage_of("celery")
    monkeypatch.setenv("QUEUES_METRICS_PORT", str(roomy_valkey.port))

    worker = begin(stage, "celery")

    assert stage.program.echo.send(name, 1).result(timeout=PATIENCE_S) == 1
    eventually(lambda: "metrics are not served at 127.0.0.1" in worker.log)


@pytest.fixture(params=["celery", "dramatiq"])
def native(request: pytest.FixtureRequest, roomy_valkey: ValkeyServer, tmp_path: Path, port: int) -> Iterator[object]:
    """An application of its own task system, whose worker has an endpoint."""
    url = f"{roomy_valkey.url.removesuffix('/0')}/{930 if request.param == 'celery' else 931}"
    environment = {"QUEUES_METRICS_PORT": str(port)}
    with native_app(request.param, f"native_{request.param}", url, tmp_path, environment=environment) as app:
        yield app


def test_an_application_that_knows_the_task_class_or_the_middleware_only_is_counted_too(
    native: object, port: int, name: str
):
    module = native.module
    send = module.give.delay if hasattr(module.give, "delay") else module.give.send
    send(name, 7)
    eventually(lambda: native.notes(name), within_s=PATIENCE_S)
    send(name, 7)

    told = seen(port, lambda s: s.total("onceq_tasks_executed_total", outcome="completed") == 1)
    assert [labels["task"] for labels, _ in told.samples["onceq_tasks_executed_total"]] == [
        module.give.name if hasattr(module.give, "delay") else module.give.actor_name
    ]
