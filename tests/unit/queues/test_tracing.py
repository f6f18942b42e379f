"""Spans of submissions and of runs, in one process."""

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from queues import Backoff, Once, Queue, Retry, Tasks, connect, errors
from queues.observers import tracing
from queues.observers.tracing import Tracing
from tests.stage import memory_worker

SECRET = "hunter2"


class Traced:
    """Tasks in memory, and the spans that they left."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("test")
        self.tasks = Tasks(namespace="traced")
        self.inner: list[int] = []

        @self.tasks.task(queue="q", once=Once(on_duplicate="join"))
        def plain(x: object) -> object:
            self.inner.append(trace.get_current_span().get_span_context().span_id)
            return x

        @self.tasks.task(queue="q")
        async def awaited(x: int) -> int:
            self.inner.append(trace.get_current_span().get_span_context().span_id)
            return x

        @self.tasks.task(queue="q", max_retries=1, backoff=Backoff(0.01))
        def fails(x: str) -> None:
            raise Retry

        self.plain, self.awaited, self.fails = plain, awaited, fails
        self.queue: Queue = connect(self.tasks, backend="memory", observer=Tracing(self.provider))

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]


@pytest.fixture
def traced() -> Iterator[Traced]:
    made = Traced()
    yield made
    made.queue.close()


def test_a_run_is_below_its_submission_and_linked_to_it(traced: Traced):
    with traced.tracer.start_as_current_span("request") as request:
        handle = traced.plain.send(1)
    handle.result()

    (sent,), (ran,) = traced.spans("send q"), traced.spans("process q")
    assert (sent.kind, ran.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert sent.parent is not None
    assert ran.parent is not None
    assert sent.parent.span_id == request.get_span_context().span_id
    assert ran.parent.span_id == sent.context.span_id
    assert ran.context.trace_id == sent.context.trace_id == request.get_span_context().trace_id
    assert [link.context.span_id for link in ran.links] == [sent.context.span_id]
    assert traced.inner == [ran.context.span_id]


def test_the_attributes_are_those_of_the_conventions_and_of_the_run(traced: Traced):
    handle = traced.plain.send(1)
    handle.result()

    sent, ran = dict(traced.spans("send q")[0].attributes), dict(traced.spans("process q")[0].attributes)
    shared = {
        "messaging.system": "onceq",
        "messaging.destination.name": "q",
        "messaging.message.id": handle.id,
        "onceq.task": "traced.plain",
        "onceq.key": handle.key,
    }
    assert shared.items() <= sent.items()
    assert shared.items() <= ran.items()
    assert (sent["messaging.operation.type"], ran["messaging.operation.type"]) == ("send", "process")
    assert (sent["onceq.decision"], ran["onceq.outcome"]) == ("executed", "completed")
    assert (ran["onceq.attempt"], ran["onceq.lost"]) == (1, 0)
    assert ran["onceq.token"] > 0
    assert ran["onceq.queue_wait_ms"] >= 0


def test_a_duplicate_notes_the_first_and_is_no_part_of_its_trace(traced: Traced):
    first = traced.plain.send(1)
    traced.plain.send(1)
    first.result()
    traced.plain.send(1)

    spans = traced.spans("send q")
    assert len({span.context.trace_id for span in spans}) == 3
    assert [span.attributes["onceq.decision"] for span in spans] == ["executed", "joined", "replayed"]
    assert [[(e.name, e.attributes["messaging.message.id"]) for e in span.events] for span in spans] == [
        [],
        [("joined", first.id)],
        [("replayed", first.id)],
    ]
    assert len(traced.spans("process q")) == 1


def test_an_async_task_runs_in_its_span(traced: Traced):
    traced.awaited.send(1).result()

    assert traced.inner == [traced.spans("process q")[0].context.span_id]


def test_each_attempt_is_a_span_of_the_same_trace(traced: Traced):
    with pytest.raises(errors.TaskFailedError):
        traced.fails.send("x").result(timeout=60)

    (sent,), attempts = traced.spans("send q"), traced.spans("process q")
    assert [span.attributes["onceq.outcome"] for span in attempts] == ["retried", "failed"]
    assert [span.attributes["onceq.attempt"] for span in attempts] == [1, 2]
    assert {span.context.trace_id for span in attempts} == {sent.context.trace_id}
    assert [span.status.status_code for span in attempts] == [StatusCode.ERROR] * 2


def test_no_span_shows_an_argument_or_the_text_of_an_error(traced: Traced):
    with pytest.raises(errors.TaskFailedError):
        traced.fails.send(SECRET).result(timeout=60)
    traced.plain.send_with_options((SECRET,), key="k").result()
    with pytest.raises(errors.KeyConflictError):
        traced.plain.send_with_options((f"other {SECRET}",), key="k")

    assert SECRET not in "".join(span.to_json() for span in traced.exporter.get_finished_spans())
    assert traced.spans("send q")[-1].attributes["error.type"] == "KeyConflictError"


def test_a_run_leaves_no_span_current(traced: Traced):
    with memory_worker(traced.queue.backend):
        traced.plain.send(1).result()
    traced.plain.send(2).result()

    assert not trace.get_current_span().get_span_context().is_valid
    assert traced.spans("send q")[1].parent is None


def test_without_a_provider_nothing_travels_in_a_message():
    tasks = Tasks(namespace="untraced")

    @tasks.task
    def plain(x: int) -> int:
        return x

    with connect(tasks, backend="memory", observer=Tracing()) as queue:
        handle = plain.send(1)
        record = queue.store.read(handle.key)

    assert record is not None
    assert b'"trace"' not in record.message


def test_submissions_whose_end_is_never_told_are_forgotten(traced: Traced, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tracing, "MOST_SENDING", 10)
    observer = Tracing(traced.provider)

    for number in range(100):
        handle = traced.plain.send(number)
        observer.carried(traced.queue.backend._ready[-1][2])
        assert handle.id

    assert len(observer._sending) == 10
