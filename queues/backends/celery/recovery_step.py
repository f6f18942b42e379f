"""Recovery as a step of Celery's worker."""

from typing import TYPE_CHECKING, Any

from celery import bootsteps

from queues.backends.celery.fetched import FetchedFromRedis
from queues.backends.celery.foreign import foreign_engine

if TYPE_CHECKING:
    from celery.worker import WorkController


class RecoveryStep(bootsteps.StartStopStep):
    """Runs the recovery of the worker's app beside the worker."""

    # After the pool has forked: a child that is forked while our thread imports a module waits for ever for the lock
    # of that module, and with it the message that it was given.
    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: "WorkController", **options: Any) -> None:
        super().__init__(worker, **options)
        self._engine = foreign_engine(worker.app)

    def start(self, worker: "WorkController") -> None:
        """Start to look for work that was left, of every guarded task: also of one that has not run here yet."""
        for task in worker.app.tasks.values():
            # IdempotentTask alone has it; its module imports this one.
            getattr(task, "guarded", None)
        self._engine.recovery.also_give_back(FetchedFromRedis(worker, self._engine.tasks))
        self._engine.recovery.start()

    def stop(self, worker: "WorkController") -> None:
        """Wait for no server any more."""
        self._engine.stopping.set()
        self._engine.recovery.stop()

    terminate = stop
