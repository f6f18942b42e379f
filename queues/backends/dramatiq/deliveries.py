"""What both uses of Dramatiq share: which message a thread runs, and what Dramatiq is told of it."""

import threading
from collections.abc import Callable
from typing import Any

import dramatiq
from dramatiq.broker import Broker, MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware, SkipMessage

from queues.backends.dramatiq.fetched import FetchedFromRedis
from queues.disposition import Disposition, Done, Failed, Raised
from queues.errors import TaskFailedError
from queues.idempotency.recovery import Recovery
from queues.observers.environment import Address, serve_metrics_beside_workers


class Deliveries(Middleware):
    """Knows the message that each thread runs, and starts recovery with the worker.

    Its hooks decide nothing: Dramatiq swallows what a hook raises.

    Args:
        stopping: set when the worker shuts down.
    """

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._local = threading.local()
        self._recovery: Recovery | None = None

    @property
    def forks(self) -> list[Callable[[], int]]:
        """What Dramatiq runs in a process beside those of the worker: the endpoint of its metrics."""
        return [serve_metrics_beside_workers] if Address.from_environment() is not None else []

    def recover_with(self, recovery: Recovery) -> None:
        """Start `recovery` when a worker starts."""
        self._recovery = recovery

    @property
    def message(self) -> MessageProxy | None:
        """What this thread runs; None when the actor is called directly."""
        return getattr(self._local, "message", None)

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        """Remember the message."""
        self._local.message = message

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        """Forget the message."""
        self._local.message = None

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        """Forget the message."""
        self._local.message = None

    def after_worker_boot(self, broker: Broker, worker: dramatiq.Worker) -> None:
        """Look for work that was left."""
        if self._recovery is not None:
            if isinstance(broker, RedisBroker):
                self._recovery.also_give_back(FetchedFromRedis(broker))
            self._recovery.start()

    def before_worker_shutdown(self, broker: Broker, worker: dramatiq.Worker) -> None:
        """Wait for no server any more."""
        self._stopping.set()
        if self._recovery is not None:
            self._recovery.stop()


def settle(disposition: Disposition, message: MessageProxy) -> Any:
    """Tell Dramatiq what came of a delivery: return a result, raise a failure, or skip.

    Raises:
        SkipMessage: ack it, run no callback and store no result.
        BaseException: the task's own failure.
    """
    match disposition:
        case Done(value):
            return value
        case Raised(error):
            raise error
        case Failed(failure, error):
            raise error if error is not None else TaskFailedError(failure)
        case _:
            # Dramatiq's Results would store None for a skipped message, under the id that its copy still has.
            message.options["store_results"] = False
            raise SkipMessage(type(disposition).__name__)
