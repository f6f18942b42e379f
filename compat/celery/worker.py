"""The worker: Celery's own life cycle and remote control, our readers, and our processes.

Celery's `WorkController` and `Consumer` keep the order in which things start and stop, the signals, rate limits,
timers, revocation, events and the mailbox. They read through `compat.celery.consumer.TaskConsumer` and, with
`-P prefork`, run tasks in `compat.celery.processes.prefork.ProcessPool`.
"""

from typing import Any

from celery.apps import worker
from celery.concurrency import prefork
from celery.exceptions import ImproperlyConfigured
from celery.worker import consumer

from compat.celery.pools import REFUSED_POOLS, name_of
from compat.celery.processes.prefork import ProcessPool
from compat.celery.reader import Reader


class Worker(worker.Worker):
    """Celery's worker program."""

    pool_cls: Any

    def on_init_blueprint(self) -> None:
        """Take our processes where Celery would take billiard's.

        Raises:
            ImproperlyConfigured: the pool is one of those that are refused.
        """
        super().on_init_blueprint()
        if (pool := name_of(self.pool_cls)) in REFUSED_POOLS:
            msg = f"the pool {pool} is not supported on Dramatiq: {REFUSED_POOLS[pool]}"
            raise ImproperlyConfigured(msg)
        if self.pool_cls is prefork.TaskPool:
            self.pool_cls = ProcessPool


class Consumer(consumer.Consumer):
    """Celery's consumer of tasks."""

    def register_with_event_loop(self, hub: Any) -> None:
        """Give what reads the loop that it wakes; Celery does this after each reconnection too."""
        self.task_consumer.hub = hub
        super().register_with_event_loop(hub)

    def call_soon_ack(self, p: Any, *args: Any, **kwargs: Any) -> Any:
        """Acknowledge at once: it only leaves a note for a thread, and a thread of the pool may call it."""
        channel = getattr(getattr(p, "__self__", None), "channel", None)
        if isinstance(channel, Reader):
            return p(*args, **kwargs)
        # A message of kombu's is acknowledged in the event loop, whose connection it came through.
        return super().call_soon_ack(p, *args, **kwargs)
