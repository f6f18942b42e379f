"""Each task takes effect once, on Celery or on Dramatiq."""

from queues import errors
from queues.backoff import Backoff, Retry
from queues.call import Call
from queues.client import Queue
from queues.dead_letter import DeadLetter
from queues.errors import Failure, QueueError
from queues.factory import connect
from queues.handle import Decision, Handle, Progress, Status
from queues.idempotency.state import State
from queues.idempotency.store import WorkerInfo
from queues.limits.concurrency import Concurrency
from queues.observer import Observer, Observers
from queues.once import Once
from queues.priority import Priority
from queues.run import current
from queues.task import Task
from queues.tasks import Tasks

__all__ = [
    "Backoff",
    "Call",
    "Concurrency",
    "DeadLetter",
    "Decision",
    "Failure",
    "Handle",
    "Observer",
    "Observers",
    "Once",
    "Priority",
    "Progress",
    "Queue",
    "QueueError",
    "Retry",
    "State",
    "Status",
    "Task",
    "Tasks",
    "WorkerInfo",
    "connect",
    "current",
    "errors",
]
