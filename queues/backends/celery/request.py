"""What Celery's worker does when it kills a child whose task has run for Celery's own hard time limit."""

import logging

from celery.worker.request import Request

from queues.backends.celery.messages import from_request
from queues.backends.celery.publisher import CeleryPublisher
from queues.errors import QueueError
from queues.idempotency.worker import worker_name

logger = logging.getLogger(__name__)


class GuardedRequest(Request):
    """A request that stores the failure before the child is killed, unless the child has done so.

    Celery acks a message whose task it kills, and reports it as failed. Without this, the record would say that a
    worker was lost, and the work would run again.
    """

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Take the event of a time limit."""
        if not soft and self.worker_pid is not None:
            self._end(timeout)
        super().on_timeout(soft, timeout)

    def _end(self, timeout: float) -> None:
        task = self.task
        try:
            message = from_request(self._context, task.guarded, tuple(self.args), dict(self.kwargs))
            worker = worker_name(CeleryPublisher.name, self.worker_pid)
            task.engine.executor.timed.end_killed(message, task.guarded.policy, worker, timeout)
        except QueueError as exc:
            logger.warning("the end of %s, whose process is killed, was not stored: %s", self.id, exc)
