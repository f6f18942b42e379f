"""The engine of one Celery app: its executor, and what Celery is told of a delivery."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from celery import Celery
from celery.exceptions import Ignore, Reject
from celery.exceptions import Retry as CeleryRetry

from queues.disposition import Disposition, Done, Failed, Raised, Retrying
from queues.errors import BrokerUnavailableError, StoreUnavailableError, TaskFailedError
from queues.executor import Executor
from queues.idempotency.recovery import Recovery
from queues.idempotency.refusal import Refused
from queues.message import Message
from queues.observer import Observer
from queues.producer import Producer
from queues.tasks import Tasks

T = TypeVar("T")
ATTRIBUTE = "onceq_engine"


class Engine:
    """What the tasks of one Celery app share.

    Args:
        producer: submits plain messages, so that a duplicate is answered where it is sent.
        stopping: set when the worker ends.
    """

    def __init__(
        self,
        tasks: Tasks,
        executor: Executor,
        recovery: Recovery,
        producer: Producer,
        stopping: threading.Event,
    ) -> None:
        self.tasks = tasks
        self.store = executor.guard.store
        self.executor = executor
        self.recovery = recovery
        self.producer = producer
        self.stopping = stopping

    @property
    def observer(self) -> Observer:
        """What is told of the work."""
        return self.executor.guard.observer

    def install(self, app: Celery) -> None:
        """Make this the engine of the app."""
        setattr(app, ATTRIBUTE, self)

    @staticmethod
    def of(app: Celery) -> "Engine | None":
        """The engine of the app; None when none was installed."""
        engine: Engine | None = getattr(app, ATTRIBUTE, None)
        return engine

    def execute(self, message: Message) -> Disposition:
        """What came of a delivery.

        Raises:
            Reject: no server answers and the worker is stopping; the message goes back to its queue.
        """
        return self._or_given_back(lambda: self.executor.execute(message))

    def refuse(self, what: Refused, error: BaseException) -> None:
        """Keep a dead letter of what cannot be run.

        Raises:
            Reject: as `execute`.
        """
        self._or_given_back(lambda: self.executor.guard.refuse(what, error))

    def _or_given_back(self, step: Callable[[], T]) -> T:
        try:
            return step()
        except (StoreUnavailableError, BrokerUnavailableError) as exc:
            raise Reject(str(exc), requeue=True) from exc


def settle(disposition: Disposition) -> Any:
    """Tell Celery what came of a delivery: return a result, raise a failure, or have the message ignored.

    Raises:
        celery.exceptions.Ignore: ack it, run no callback and store no result.
        celery.exceptions.Retry: another attempt is on its way.
        BaseException: the task's own failure.
    """
    match disposition:
        case Done(value):
            return value
        case Raised(error):
            raise error
        case Failed(failure, error):
            raise error if error is not None else TaskFailedError(failure)
        case Retrying(error, delay_ms):
            raise CeleryRetry(str(error), exc=error, when=delay_ms / 1000)
        case _:
            raise Ignore(type(disposition).__name__)
