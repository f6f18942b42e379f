"""The metrics of a Celery worker, served by its parent process."""

from typing import TYPE_CHECKING, Any

from celery import bootsteps

from queues.observers.environment import Address, serve_metrics

if TYPE_CHECKING:
    from celery.worker import WorkController


class MetricsStep(bootsteps.StartStopStep):
    """Serves the sum over the worker's processes at QUEUES_METRICS_PORT."""

    # After the pool has forked, as recovery is: the fewer threads there are then, the better.
    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: "WorkController", **options: Any) -> None:
        super().__init__(worker, **options)
        self._address = Address.from_environment()
        self.enabled = self._address is not None

    def start(self, worker: "WorkController") -> None:
        """Serve from a thread, which ends with the process."""
        if self._address is not None:
            serve_metrics(self._address)

    def stop(self, worker: "WorkController") -> None:
        """Nothing: a worker that finishes its last tasks is still looked at."""

    terminate = stop
