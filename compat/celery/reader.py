"""One thread that reads one queue through Dramatiq's consumer, and keeps what is not acknowledged yet."""

import itertools
import logging
import threading
from collections.abc import Callable
from typing import Any

from compat.celery.acknowledgements import Acknowledgements
from compat.celery.broker import BROKER_ERRORS

logger = logging.getLogger(__name__)

IDLE_MS = 500
"""How long a consumer waits for a message before it looks whether it should end."""
RECONNECT_S = 1.0
PUMP_S = 0.2
CLOSE_S = 10.0
numbers = itertools.count(1)
"""Of deliveries, over all readers of this process."""


class Reader(threading.Thread):
    """Reads one queue. It stands as the channel of the messages that it gave: they are acknowledged through it.

    Args:
        broker: Dramatiq's.
        queue: Celery's name of the queue.
        window: says how many messages may be unacknowledged.
        receive: called in this thread with each message.
        lost: called in this thread when the broker delivers again what was unacknowledged; the thread then ends.
    """

    no_ack_consumers = None
    """kombu's messages ask their channel for it."""

    def __init__(
        self,
        broker: Any,
        queue: str,
        window: Any,
        receive: Callable[["Reader", Any], None],
        lost: Callable[[Exception], None],
        acknowledgements: Acknowledgements,
    ) -> None:
        super().__init__(name=f"reader of {queue}", daemon=True)
        self.unacknowledged: dict[str, Any] = {}
        self.queue = queue
        self._broker = broker
        self._window = window
        self._receive = receive
        self._lost = lost
        self._acknowledgements = acknowledgements
        self._stopping = threading.Event()
        self._closing = threading.Event()
        self._keeps: Callable[[Any], bool] = bool

    @property
    def is_stopping(self) -> bool:
        """Whether what it has read is given back."""
        return self._stopping.is_set()

    def run(self) -> None:
        """Read until stopped, over lost connections; then keep the connection until all is acknowledged, or closed."""
        consumer = None
        while not self._closing.is_set():
            try:
                consumer = self._open()
                self._read(consumer)
                self._give_back(consumer)
                while not self._closing.is_set() and (self.unacknowledged or self._acknowledgements.is_busy):
                    consumer.pump(PUMP_S)
                consumer.close()
            except BROKER_ERRORS as exc:
                if self._closing.is_set():
                    return
                logger.warning("The queue %r cannot be read: %r", self.queue, exc)
                if consumer is not None and consumer.redelivers:
                    self.unacknowledged.clear()
                    if not self.is_stopping:
                        self._lost(exc)
                    return
                self._closing.wait(RECONNECT_S)
            else:
                return

    def _open(self) -> Any:
        name = self._broker.queue_for(self.queue)
        self._broker.create(name)
        consumer = self._broker.consume(name, prefetch=self._window.limit_messages, timeout=IDLE_MS)
        consumer.window = self._window
        return consumer

    def _read(self, consumer: Any) -> None:
        while not self.is_stopping:
            message = next(consumer)
            if message is not None:
                message.read_through, message.tag, message.is_handed_over = consumer, f"{next(numbers)}", False
                self.unacknowledged[message.tag] = message
                self._receive(self, message)

    def _give_back(self, consumer: Any) -> None:
        consumer.stop()
        given = [tag for tag, message in list(self.unacknowledged.items()) if not self._keeps(message)]
        consumer.requeue([self.unacknowledged[tag] for tag in given])
        for tag in given:
            self.unacknowledged.pop(tag)
            consumer.settled()

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Take the message off its queue, soon."""
        message = self.unacknowledged.pop(delivery_tag, None)
        if message is not None:
            message.read_through.settled()
            self._acknowledgements.add(message)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Give the message back, or put it among the dead letters."""
        message = self.unacknowledged.pop(delivery_tag, None)
        if message is not None:
            message.read_through.settled()
            self._acknowledgements.refuse(message, requeue=requeue)

    def stop(self, keeps: Callable[[Any], bool]) -> None:
        """Read no more; give back every message that is not to be kept."""
        self._keeps = keeps
        self._stopping.set()

    def give_up(self) -> None:
        """Give back everything, also what runs."""
        for tag in list(self.unacknowledged):
            self.basic_reject(tag, requeue=True)

    def close(self) -> None:
        """End the thread; what is still unacknowledged is the broker's to deliver again."""
        self._closing.set()
        self._stopping.set()
        self.join(timeout=CLOSE_S)
