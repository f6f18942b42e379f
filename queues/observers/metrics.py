"""Prometheus metrics of the engine, under the same names on every backend."""

import os
import threading
from functools import cache
from typing import NamedTuple, TypeVar, cast

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

from queues.errors import AlreadyRunningError, KeyConflictError
from queues.idempotency.state import State
from queues.message import Message
from queues.observer import Observer, Outcome, Reason
from queues.run import Run

RUN_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
QUEUE_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 21_600)
MOST_WORKS = 500
"""Pairs of task and queue that are told apart; what comes later is counted as `other`. A queue's name comes with the
message, so its sender could make as many as it liked."""
OTHER = ("other", "other")
WORK = ("task", "queue")
M = TypeVar("M", Counter, Histogram)

# An update holds a lock of prometheus_client. A process that is forked by another thread in that moment would wait for
# it for ever, in the middle of its first task; Celery's worker forks whenever it replaces a child.
_updating = threading.Lock()
os.register_at_fork(before=_updating.acquire, after_in_parent=_updating.release, after_in_child=_updating.release)


class Instruments(NamedTuple):
    """The metrics of one registry; each has the labels `task` and `queue`."""

    submitted: Counter
    executed: Counter
    replayed: Counter
    deferred: Counter
    fenced: Counter
    recovered: Counter
    taken_over: Counter
    unguarded: Counter
    leases_lost: Counter
    run_seconds: Histogram
    queue_seconds: Histogram


@cache
def instruments(registry: CollectorRegistry) -> Instruments:
    """The metrics, made once for a registry."""

    def counter(name: str, text: str, *labels: str) -> Counter:
        return Counter(f"onceq_{name}", text, (*WORK, *labels), registry=registry)

    def seconds(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"onceq_task_{name}_seconds", text, WORK, registry=registry, buckets=buckets)

    return Instruments(
        submitted=counter("tasks_submitted", "Submissions, by what came of them.", "decision"),
        executed=counter("tasks_executed", "Runs that ended, by how.", "outcome"),
        replayed=counter("tasks_replayed", "Deliveries that were answered by a stored outcome."),
        deferred=counter("tasks_deferred", "Deliveries that were put off, by why.", "reason"),
        fenced=counter("tasks_fenced", "Runs whose outcome was refused, as they had lost their lease."),
        recovered=counter("tasks_recovered", "Messages of overdue work published again, by its state.", "state"),
        taken_over=counter("tasks_taken_over", "Runs of work whose worker had died or lost its lease."),
        unguarded=counter("tasks_unguarded", "Runs of fail_open tasks while the store did not answer."),
        leases_lost=counter("leases_lost", "Running tasks that were stopped, as their lease was lost."),
        run_seconds=seconds("run", "From the right to run to the outcome, of each run.", RUN_BUCKETS_S),
        queue_seconds=seconds(
            "queue", "From the submission to the first run; a delay that was asked for counts too.", QUEUE_BUCKETS_S
        ),
    )


class PrometheusMetrics(Observer):
    """Counts what happens.

    In a worker of several processes the numbers are added up by prometheus_client's multiprocess mode; with
    QUEUES_METRICS_PORT that is done by itself.

    Args:
        registry: where the metrics are registered; prometheus_client's own by default.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._metrics = instruments(registry)
        self._works: set[tuple[str, str]] = set()
        # prometheus_client's own look-up costs as much as the update.
        self._children: dict[tuple[Counter | Histogram, str, str, str], Counter | Histogram] = {}

    def sent(self, message: Message, decision: str, owner: str) -> None:
        """Count a submission by its decision."""
        self._count(self._metrics.submitted, message, str(decision))

    def unsent(self, message: Message, error: BaseException) -> None:
        """Count a submission as `rejected`, `conflict`, or `error` when no server answered."""
        kinds = {AlreadyRunningError: "rejected", KeyConflictError: "conflict"}
        self._count(self._metrics.submitted, message, kinds.get(type(error), "error"))

    def began(self, run: Run) -> None:
        """Count a takeover; and how long the work was queued."""
        if run.lost:
            self._count(self._metrics.taken_over, run.message)
        waited_ms = run.waited_ms
        if waited_ms is not None:
            self._observe(self._metrics.queue_seconds, run.message, waited_ms)

    def ended(self, run: Run, outcome: Outcome, run_ms: int) -> None:
        """Count a run by its outcome; and how long it took, unless it gave its right back."""
        self._count(self._metrics.executed, run.message, outcome.value)
        if outcome is Outcome.FENCED:
            self._count(self._metrics.fenced, run.message)
        if outcome is not Outcome.RELEASED:
            self._observe(self._metrics.run_seconds, run.message, run_ms)

    def replayed(self, message: Message) -> None:
        """Count a replay."""
        self._count(self._metrics.replayed, message)

    def deferred(self, message: Message, reason: Reason) -> None:
        """Count a deferral by its reason."""
        self._count(self._metrics.deferred, message, reason.value)

    def unguarded(self, message: Message) -> None:
        """Count an unguarded run."""
        self._count(self._metrics.unguarded, message)

    def lease_lost(self, run: Run) -> None:
        """Count a lost lease."""
        self._count(self._metrics.leases_lost, run.message)

    def recovered(self, message: Message, state: State) -> None:
        """Count a recovery by the state in which the work was left."""
        self._count(self._metrics.recovered, message, state.value)

    def _count(self, metric: Counter, message: Message, label: str = "") -> None:
        with _updating:
            self._child(metric, message, label).inc()

    def _observe(self, metric: Histogram, message: Message, ms: int) -> None:
        with _updating:
            self._child(metric, message).observe(ms / 1000)

    def _child(self, metric: M, message: Message, label: str = "") -> M:
        key = (metric, message.task, message.queue, label)
        child = self._children.get(key)
        if child is None:
            work = self._work(message)
            child = metric.labels(*work, label) if label else metric.labels(*work)
            if work != OTHER:
                self._children[key] = child
        return cast("M", child)

    def _work(self, message: Message) -> tuple[str, str]:
        work = (message.task, message.queue)
        if work not in self._works:
            if len(self._works) >= MOST_WORKS:
                return OTHER
            self._works.add(work)
        return work
