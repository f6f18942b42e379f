"""What both uses of Dramatiq share: which message a thread runs, and what Dramatiq is told of it."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import dramatiq
from dramatiq.broker import Broker, MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import ActorNotFound
from dramatiq.middleware import Middleware, SkipMessage

from queues.backends.dramatiq.ahead import Ahead
from queues.backends.dramatiq.fetched import FetchedFromRedis
from queues.backends.dramatiq.messages import delivered
from queues.disposition import Disposition, Done, Failed, Raised
from queues.errors import (
    InvalidMessageError,
    StoreUnavailableError,
    TaskCancelledError,
    TaskExpiredError,
    TaskFailedError,
    TaskNotFoundError,
)
from queues.idempotency.recovery import Recovery
from queues.idempotency.refusal import Refused
from queues.observers.environment import Address, serve_metrics_beside_workers
from queues.tasks import Tasks

logger = logging.getLogger(__name__)
Refuse = Callable[[Refused, BaseException], None]
LEAVES_NO_LETTER = frozenset(f"{e.__module__}.{e.__qualname__}" for e in (TaskCancelledError, TaskExpiredError))


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
        self._refuse: Refuse | None = None
        self._guarded_tasks = Tasks()
        self._ahead: Ahead | None = None

    @property
    def forks(self) -> list[Callable[[], int]]:
        """What Dramatiq runs in a process beside those of the worker: the endpoint of its metrics."""
        return [serve_metrics_beside_workers] if Address.from_environment() is not None else []

    def recover_with(self, recovery: Recovery) -> None:
        """Start `recovery` when a worker starts."""
        self._recovery = recovery

    def refuse_with(self, refuse: Refuse, tasks: Tasks) -> None:
        """Keep with `refuse` what goes to Dramatiq's dead-letter queue without having been run under the guard.

        Args:
            tasks: those whose runs are guarded.
        """
        self._refuse, self._guarded_tasks = refuse, tasks

    def tell(self, ahead: Ahead) -> None:
        """Tell it of each message that is done with, before it is acknowledged, whether its task has run or not."""
        self._ahead = ahead

    def take(self, message: MessageProxy) -> None:
        """From here on the executor answers for the message, and writes its dead letter, if there is one."""
        self._local.taken = message.message_id

    @property
    def message(self) -> MessageProxy | None:
        """What this thread runs; None when the actor is called directly."""
        return getattr(self._local, "message", None)

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        """Remember the message."""
        self._local.message, self._local.taken = message, None

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        """Forget the message."""
        self._local.message = None
        if self._ahead is not None:
            self._ahead.passed(message)

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        """Forget the message."""
        self._local.message = None
        if self._ahead is not None:
            self._ahead.passed(message)

    def before_nack(self, broker: Broker, message: MessageProxy) -> None:
        """Keep what no executor has seen: of an unknown actor, of a strange version, or of an unguarded actor.

        Dramatiq's own entry in its `.XQ` follows, as ever.
        """
        if self._refuse is None or getattr(self._local, "taken", None) == message.message_id:
            return
        try:
            is_unguarded = message.actor_name in broker.actors and message.actor_name not in self._guarded_tasks
            self._refuse(delivered(message, is_unguarded=is_unguarded), _reason(broker, message))
        except StoreUnavailableError as exc:
            logger.warning("no dead letter was kept of %s, only Dramatiq's own: %s", message.message_id, exc)

    def before_worker_boot(self, broker: Broker, worker: dramatiq.Worker) -> None:
        """Learn how many threads there are."""
        if self._ahead is not None:
            self._ahead.threads = worker.worker_threads

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


def _reason(broker: Broker, message: MessageProxy) -> BaseException:
    error = message._exception
    if isinstance(error, ActorNotFound):
        return TaskNotFoundError(message.actor_name, tuple(sorted(broker.get_declared_actors())))
    return error if error is not None else InvalidMessageError("Dramatiq refused it, and did not say why")


def settle(disposition: Disposition, message: MessageProxy, *, is_awaited: bool = True) -> Any:
    """Tell Dramatiq what came of a delivery: return a result, raise a failure, or skip.

    Args:
        is_awaited: whether something of Dramatiq's waits for what came of it; else work that was cancelled or has
            expired is skipped, for what Dramatiq is told has failed goes to its `.XQ`, where all has a dead letter.

    Raises:
        SkipMessage: ack it, run no callback and store no result.
        BaseException: the task's own failure.
    """
    match disposition:
        case Done(value):
            return value
        case Raised(error):
            raise error
        case Failed(failure) if not is_awaited and failure.type in LEAVES_NO_LETTER:
            raise SkipMessage(failure.message)
        case Failed(failure, error):
            raise error if error is not None else TaskFailedError(failure)
        case _:
            # Dramatiq's Results would store None for a skipped message, under the id that its copy still has.
            message.options["store_results"] = False
            raise SkipMessage(type(disposition).__name__)
