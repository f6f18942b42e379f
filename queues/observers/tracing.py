"""OpenTelemetry traces that cross the queue.

A submission is a PRODUCER span, whose context travels in the message; each run is a CONSUMER span below it and linked
to it, also the run of a copy, of a retry, and of a worker that took over.

Source: OpenTelemetry's semantic conventions for messaging spans, docs/messaging/messaging-spans.md.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextvars import Token
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from queues.idempotency.state import State
from queues.message import Message
from queues.observer import Observer, Outcome, Reason
from queues.run import Run

MOST_SENDING = 10_000
"""Submissions whose end was never told are forgotten beyond that."""
ERRORS = frozenset({Outcome.FAILED, Outcome.RETRIED, Outcome.FENCED, Outcome.UNWRITTEN})
_W3C = TraceContextTextMapPropagator()
"""Not the process's own propagator: baggage, which that may add, can hold anything, and a message is stored."""


class Tracing(Observer):
    """Makes a span of each submission and of each run; within a run, its span is the current one.

    Args:
        provider: of the spans; the process's own by default, which does nothing until one is set.
        system: the spans' `messaging.system`.
    """

    def __init__(self, provider: TracerProvider | None = None, *, system: str = "onceq") -> None:
        self._tracer = trace.get_tracer("onceq", tracer_provider=provider)
        self._system = system
        self._sending: OrderedDict[str, Span] = OrderedDict()
        self._running: WeakKeyDictionary[Run, Span] = WeakKeyDictionary()
        self._entered: WeakKeyDictionary[Run, Token[Context]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def carried(self, message: Message) -> Mapping[str, str]:
        """Begin the span of a submission; its context goes with the message."""
        span = self._begun("send", SpanKind.PRODUCER, message)
        headers: dict[str, str] = {}
        _W3C.inject(headers, trace.set_span_in_context(span))
        with self._lock:
            self._sending[message.id] = span
            if len(self._sending) > MOST_SENDING:
                self._sending.popitem(last=False)
        return headers

    def sent(self, message: Message, decision: str, owner: str) -> None:
        """End the span of a submission; a duplicate's says in an event which message stands for the work.

        It is no part of that message's trace: the one did not cause the other.
        """
        span = self._taken(message)
        if span is None:
            return
        span.set_attribute("onceq.decision", str(decision))
        if owner != message.id:
            span.add_event(str(decision), {"messaging.message.id": owner})
        span.end()

    def unsent(self, message: Message, error: BaseException) -> None:
        """End the span of a submission that was refused, or that no server answered."""
        span = self._taken(message)
        if span is not None:
            self._fail(span, type(error).__qualname__)
            span.end()

    def began(self, run: Run) -> None:
        """Begin the span of a run, and make it the current one in this thread."""
        attributes = {"onceq.attempt": run.attempt, "onceq.token": run.token, "onceq.lost": run.lost}
        if run.waited_ms is not None:
            attributes["onceq.queue_wait_ms"] = run.waited_ms
        span = self._begun("process", SpanKind.CONSUMER, run.message, attributes)
        self._running[run] = span
        self._entered[run] = contexts.attach(trace.set_span_in_context(span))

    def left(self, run: Run) -> None:
        """Make the span current that was before."""
        token = self._entered.pop(run, None)
        if token is not None:
            contexts.detach(token)

    def ended(self, run: Run, outcome: Outcome, run_ms: int) -> None:
        """End the span of a run."""
        span = self._running.pop(run, None)
        if span is None:
            return  # its function was never called
        span.set_attribute("onceq.outcome", outcome.value)
        if outcome in ERRORS:
            self._fail(span, outcome.value)
        span.end()

    def lease_lost(self, run: Run) -> None:
        """Note it in the span of the run."""
        span = self._running.get(run)
        if span is not None:
            span.add_event("lease lost")

    def replayed(self, message: Message) -> None:
        """A span without length: the delivery was answered."""
        self._begun("settle", SpanKind.INTERNAL, message, {"onceq.answer": "replayed"}).end()

    def deferred(self, message: Message, reason: Reason) -> None:
        """A span without length: the delivery was put off."""
        self._begun("settle", SpanKind.INTERNAL, message, {"onceq.answer": f"deferred: {reason.value}"}).end()

    def recovered(self, message: Message, state: State) -> None:
        """A span without length: the message was published again."""
        self._begun("recover", SpanKind.INTERNAL, message, {"onceq.state": state.value}).end()

    def _begun(self, operation: str, kind: SpanKind, message: Message, more: Mapping[str, Any] | None = None) -> Span:
        parent: Context | None = _W3C.extract(message.trace) if message.trace else None
        created = trace.get_current_span(parent).get_span_context() if parent is not None else None
        links = [Link(created)] if created is not None and created.is_valid else []
        attributes = {
            "messaging.system": self._system,
            "messaging.operation.name": operation,
            "messaging.destination.name": message.queue,
            "messaging.message.id": message.id,
            "onceq.task": message.task,
            "onceq.key": message.digest,
            **(more or {}),
        }
        if operation != "recover":
            attributes["messaging.operation.type"] = operation
        context = parent if links else None
        return self._tracer.start_span(f"{operation} {message.queue}", context, kind, attributes, links)

    def _taken(self, message: Message) -> Span | None:
        with self._lock:
            return self._sending.pop(message.id, None)

    @staticmethod
    def _fail(span: Span, kind: str) -> None:
        # The error's type and not its text, which may show arguments.
        span.set_attribute("error.type", kind)
        span.set_status(Status(StatusCode.ERROR))
