"""The tasks of `onceq_program` with traces, whose spans every process appends to the file that TRACES names."""

import os

from onceq_program import tasks
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from queues import Queue, connect
from queues.observers.tracing import Tracing


def written_to(path: str) -> TracerProvider:
    """A provider that writes each span as one line of JSON."""
    lines = open(path, "a", encoding="utf-8")  # noqa: SIM115, PTH123 - for as long as the process lives
    exporter = ConsoleSpanExporter(out=lines, formatter=lambda span: span.to_json(indent=None) + "\n")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def queue(backend: str) -> Queue:
    """The tasks on a backend."""
    provider = written_to(os.environ["TRACES"])
    trace.set_tracer_provider(provider)  # for spans of the tasks' own
    return connect(tasks, backend=backend, observer=Tracing(provider))
