"""The queues that stay kombu's: broadcast ones, and, while a project moves, those that Celery's producers write to.

A broadcast goes to each worker through a real fanout exchange, which is what remote control travels through too. With
the setting `dramatiq_reads_celery_queues` a worker also takes what is in Celery's own queues of the same names.
"""

from collections.abc import Callable
from typing import Any

import kombu
from kombu.message import Message

READS_CELERYS = "dramatiq_reads_celery_queues"


def is_broadcast(queue: Any) -> bool:
    """Whether each worker is to get each of its messages."""
    return queue.exchange is not None and queue.exchange.type == "fanout"


def is_fanout(app: Any, exchange: str) -> bool:
    """Whether the exchange, of a queue that the application knows, passes every message on to every queue."""
    return any(is_broadcast(queue) and queue.exchange.name == exchange for queue in app.amqp.queues.values())


class KombuQueues:
    """Reads some queues through kombu, in the worker's event loop.

    Args:
        connection: kombu's, of the worker.
        accept: the content types that may be decoded.
        on_decode_error: called with a message that cannot be read, and why.
    """

    def __init__(self, connection: Any, accept: Any, on_decode_error: Callable[[Any, Exception], Any] | None) -> None:
        self._connection = connection
        self._accept = accept
        self._on_decode_error = on_decode_error
        self._consumer: Any = None
        self._limit_messages = 0

    def read(self, queues: list[Any], on_message: Callable[[Message], Any] | None) -> None:
        """Read these queues, and those that are read already."""
        if not queues:
            return
        if self._consumer is None:
            self._consumer = kombu.Consumer(
                self._connection,
                queues=queues,
                accept=self._accept,
                on_decode_error=self._on_decode_error,
                on_message=on_message,
            )
            self._consumer.qos(prefetch_count=self._limit_messages)
        for queue in queues:
            if not self._consumer.consuming_from(queue):
                self._consumer.add_queue(queue)
        self._consumer.consume()

    def qos(self, prefetch_count: int) -> None:
        """Set how many messages may be unacknowledged; 0 is no limit."""
        self._limit_messages = prefetch_count
        if self._consumer is not None:
            self._consumer.qos(prefetch_count=prefetch_count)

    def leave(self, name: str) -> None:
        """Read a queue no more."""
        if self._consumer is not None:
            self._consumer.cancel_by_queue(name)

    def cancel(self) -> None:
        """Read nothing more; the channel stays, for what is to be acknowledged."""
        if self._consumer is not None:
            self._consumer.cancel()

    def close(self) -> None:
        """End; kombu gives back what is unacknowledged."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
