"""The worker's side: what Celery's worker asks of a kombu consumer, answered by readers of Dramatiq's consumers."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from celery.worker import state
from kombu.message import Message
from kombu.serialization import prepare_accept_content

from compat.celery.acknowledgements import Acknowledgements
from compat.celery.kombu_queues import READS_CELERYS, KombuQueues, is_broadcast
from compat.celery.message import to_celery
from compat.celery.reader import Reader
from compat.celery.window import Window

logger = logging.getLogger(__name__)

BATCH_MESSAGES = 50
"""Handed to the worker before its loop looks at anything else: remote control, results, timers."""


class TaskConsumer:
    """Reads the queues of a worker, each in a thread, and hands the messages to the worker's own event loop.

    Args:
        connection: kombu's, for the few queues that stay its own.
        queues: kombu's declarations of what to read.
        accept: the content types that may be decoded.
        on_decode_error: called with a message that cannot be read, and why.
    """

    def __init__(
        self,
        app: Any,
        connection: Any,
        queues: list[Any],
        *,
        accept: Any,
        on_decode_error: Callable[[Any, Exception], Any] | None = None,
        on_message: Callable[[Message], Any] | None = None,
    ) -> None:
        self._app = app
        self._accept = prepare_accept_content(accept)
        self._queues = {queue.name: queue for queue in queues}
        self.on_message = on_message
        self.on_decode_error = on_decode_error
        self._readers: dict[str, Reader] = {}
        self._retired: list[Reader] = []
        self._inbox: deque[tuple[Reader, Any]] = deque()
        self._handing_over = threading.Lock()
        self._is_scheduled = False
        # Celery's worker names no other place for it; kombu forgets its current loop when a connection is lost.
        self.hub: Any = None
        self._acknowledgements: Acknowledgements = app.amqp.acknowledgements
        self._is_reading = False
        self._is_lost = False
        self._window = Window()
        self._kombu = KombuQueues(connection, accept, on_decode_error)

    @property
    def channel(self) -> Any:
        """Celery looks here for the window, as `channel.qos`."""
        return _Channel(self._window)

    @property
    def queues(self) -> list[Any]:
        """Kombu's declarations of what is read."""
        return list(self._queues.values())

    def consume(self, no_ack: bool | None = None) -> None:
        """Start to read every queue that is not being read."""
        self._is_reading = True
        self._acknowledgements.start()
        reads_celerys = self._app.conf.get(READS_CELERYS)
        kombus = [queue for queue in self._queues.values() if reads_celerys or is_broadcast(queue)]
        self._kombu.read(kombus, self.on_message)
        for name, queue in self._queues.items():
            if name not in self._readers and not is_broadcast(queue):
                broker = self._app.amqp.broker
                reader = Reader(broker, name, self._window, self._receive, self._lose, self._acknowledgements)
                self._readers[name] = reader
                reader.start()

    def _receive(self, reader: Reader, message: Any) -> None:
        """In the reader's thread: leave the message for the event loop; without one, the worker takes it here."""
        if self.hub is None:
            with self._handing_over:
                self._deliver(reader, message)
            return
        with self._handing_over:
            self._inbox.append((reader, message))
            is_first, self._is_scheduled = not self._is_scheduled, True
        if is_first:
            self.hub.call_soon(self._hand_over)

    def _lose(self, error: Exception) -> None:
        """In the reader's thread: have Celery's consumer forget what it has not started, and begin again."""
        is_first, self._is_lost = not self._is_lost, True
        if is_first:
            self.hub.call_soon(self._raise, ConnectionResetError(f"the broker's connection was lost: {error!r}"))

    @staticmethod
    def _raise(error: Exception) -> None:
        raise error

    def _hand_over(self) -> None:
        """In the event loop: give the worker what was received."""
        for _ in range(BATCH_MESSAGES):
            with self._handing_over:
                if not self._inbox or not self._is_reading:
                    self._is_scheduled = False
                    return
                reader, message = self._inbox.popleft()
            if not reader.is_stopping:
                self._deliver(reader, message)
        self.hub.call_soon(self._hand_over)

    def _deliver(self, reader: Reader, native: Any) -> None:
        tag: str = native.tag
        native.is_handed_over = True
        try:
            message = to_celery(native, tag, reader, self._accept)
        except Exception:
            logger.exception("A message that no Celery application sent is dead-lettered.")
            reader.basic_reject(tag, requeue=False)
            return
        if message.errors and self.on_decode_error is not None:
            message._reraise_error(self.on_decode_error)
        elif self.on_message is not None:
            self.on_message(message)

    def qos(self, prefetch_size: int = 0, prefetch_count: int = 0, apply_global: bool = False) -> None:
        """Set how many messages may be unacknowledged; 0 is no limit."""
        self._window.limit(prefetch_count)
        self._kombu.qos(prefetch_count)

    def consuming_from(self, queue: Any) -> bool:
        """Whether the queue, or the queue of that name, is read."""
        return getattr(queue, "name", queue) in self._queues

    def add_queue(self, queue: Any) -> Any:
        """Add a queue; `consume` starts to read it."""
        self._queues[queue.name] = queue
        return queue

    def cancel_by_queue(self, queue: Any) -> None:
        """Read a queue no more; what it gave and nothing runs yet goes back."""
        name = getattr(queue, "name", queue)
        self._queues.pop(name, None)
        self._kombu.leave(name)
        reader = self._readers.pop(name, None)
        if reader is not None:
            self._retire(reader, lambda message: bool(message.is_handed_over))

    def cancel(self) -> None:
        """Read nothing more; give back what nothing runs. What runs can still be acknowledged."""
        self._is_reading = False
        running = {request.message.delivery_tag for request in tuple(state.active_requests)}
        for name in list(self._readers):
            self._retire(self._readers.pop(name), lambda message: message.tag in running)
        self._inbox.clear()
        # Last: it raises when kombu's connection is the one that was lost.
        self._kombu.cancel()

    def _retire(self, reader: Reader, keeps: Callable[[Any], bool]) -> None:
        reader.stop(keeps)
        self._retired.append(reader)

    def close(self) -> None:
        """End the readers, after what was acknowledged has reached the broker."""
        try:
            self.cancel()
        finally:
            self._end()

    def _end(self) -> None:
        if state.should_terminate:
            # The children are killed next. On Redis that this worker is gone is seen after a heartbeat's timeout only.
            for reader in self._retired:
                reader.give_up()
        self._acknowledgements.flush()
        for reader in self._retired:
            reader.close()
        self._retired.clear()
        self._kombu.close()

    def purge(self) -> int:
        """Drop what waits in the queues; returns how many messages."""
        return sum(self._app.amqp.broker.purge(name) for name in self._queues)


class _Channel:
    """The one thing that Celery asks of a consumer's channel."""

    def __init__(self, window: Window) -> None:
        self.qos = window
