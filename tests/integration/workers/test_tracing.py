"""Traces that cross the queue into real workers."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from queues import connect
from queues.observers.tracing import Tracing
from tests.integration.workers.conftest import StageOf
from tests.stage import Stage, eventually
from tests.workers import Kind, Worker, is_seen_by, worker_command

KINDS: tuple[Kind, ...] = ("celery", "celery threads", "dramatiq")
PATIENCE_S = 60.0
Span = dict[str, Any]
TracedStage = Callable[[Kind], tuple[Stage, Worker]]


@pytest.fixture
def traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that every process appends its spans to."""
    monkeypatch.setenv("TRACES", str(tmp_path / "spans.jsonl"))
    return tmp_path / "spans.jsonl"


def spans(traces: Path, name: str) -> list[Span]:
    """The spans of that name that have ended."""
    if not traces.exists():
        return []
    # Another process may be in the middle of its line.
    whole = [line for line in traces.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")]
    return [span for span in map(json.loads, whole) if span["name"] == name]


@pytest.mark.parametrize("kind", KINDS)
def test_a_trace_goes_on_in_the_worker_and_after_its_death(
    stage_of: StageOf, traces: Path, tmp_path: Path, name: str, kind: Kind
):
    stage = stage_of(kind)
    module = f"traced_{kind.partition(' ')[0]}"
    environment = {**stage.environment, "TRACES": str(traces)}
    worker = Worker(worker_command(kind, module, concurrency=2), environment, tmp_path / "log", is_seen_by(stage.queue))
    provider = TracerProvider(shutdown_on_exit=False)
    producer = connect(
        stage.program.tasks,
        backend=stage.backend,
        redis_url=stage.redis_url,
        broker_url=stage.broker_url,
        observer=Tracing(provider),
    )
    with worker, provider.get_tracer("test").start_as_current_span("request") as request:
        trace_id = f"0x{request.get_span_context().trace_id:032x}"
        stage.program.fails.send(name, 1).result(timeout=PATIENCE_S)
        handle = stage.program.steps.send(f"{name}-k", 6, 0.3)
        eventually(lambda: stage.marks(f"{name}-k"))
        os.kill(stage.marks(f"{name}-k")[0][1], signal.SIGKILL)
        if kind != "celery":  # its parent is the process itself, or ends with its child
            eventually(lambda: not worker.is_alive, within_s=PATIENCE_S)
            worker.restart()
        handle.result(timeout=PATIENCE_S)
        eventually(lambda: len(spans(traces, "process slow")) == 1, within_s=PATIENCE_S)
    producer.close()

    retried, taken_over = spans(traces, "process fast"), spans(traces, "process slow")
    assert [span["attributes"]["onceq.outcome"] for span in retried] == ["retried", "completed"]
    assert taken_over[0]["attributes"]["onceq.lost"] == 1
    assert taken_over[0]["attributes"]["messaging.message.id"] == handle.id
    assert {span["context"]["trace_id"] for span in retried + taken_over} == {trace_id}
    assert {span["kind"] for span in retried + taken_over} == {"SpanKind.CONSUMER"}
    recovered = spans(traces, "recover slow")
    # Or none was recovered: the broker gave the message to another first.
    assert {span["attributes"]["onceq.state"] for span in recovered} <= {"running"}
    assert {span["context"]["trace_id"] for span in recovered} <= {trace_id}
