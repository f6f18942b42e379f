"""One thread that reads one queue through Dramatiq's consumer, and keeps what is not acknowledged yet."""

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


class Reader(threading.Thread):
    """Reads one queue. It stands as the channel of the messages that it gave: they are acknowledged through it.

    Args:
        broker: Dramatiq's.
        queue: Celery's name of the queue.
        window: says how many messages may be unacknowledged.
        receive: called in this thread with each message.
    """

    no_ack_consumers = None
    """kombu's messages ask their channel for it."""

    def __init__(
        self,
        broker: Any,
        queue: str,
        window: Any,
        receive: Callable[["Reader", Any], None],
        acknowledgements: Acknowledgements,
    ) -> None:
        super().__init__(name=f"reader of {queue}", daemon=True)
        self.unacknowledged: dict[str, Any] = {}
        self.queue = queue
        self._broker = broker
        self._window = window
        self._receive = receive
        self._acknowledgements = acknowledgements
        self._stopping = threading.Event()
        self._closing = threading.Event()
        self._unstarted: set[str] = set()
        self._received = 0

    def run(self) -> None:
        """Read until stopped, over lost connections; then keep the connection until closed."""
        while not self._closing.is_set():
            try:
                consumer = self._open()
                self._read(consumer)
                self._give_back(consumer)
                while not self._closing.is_set():
                    consumer.pump(PUMP_S)
                consumer.close()
            except BROKER_ERRORS as exc:
                if not self._closing.is_set():
                    logger.warning("The queue %r cannot be read; trying again: %r", self.queue, exc)
                    self._closing.wait(RECONNECT_S)

    def _open(self) -> Any:
        name = self._broker.queue_for(self.queue)
        if hasattr(self._broker, "queues_pending"):
            self._broker.declare_queue(name, ensure=True)
        else:
            self._broker.declare_queue(name)
        consumer = self._broker.consume(name, prefetch=self._window.limit_messages, timeout=IDLE_MS)
        consumer.window = self._window
        if consumer.redelivers:
            # What was unacknowledged on a lost connection is on its queue again.
            self.unacknowledged.clear()
        return consumer

    def _read(self, consumer: Any) -> None:
        while not self._stopping.is_set():
            message = next(consumer)
            if message is not None:
                self._received += 1
                message.read_through, message.tag = consumer, f"{self.queue} {self._received}"
                self.unacknowledged[message.tag] = message
                self._receive(self, message)

    def _give_back(self, consumer: Any) -> None:
        consumer.stop()
        messages = [self.unacknowledged.pop(tag) for tag in list(self.unacknowledged) if tag in self._unstarted]
        consumer.requeue(messages)
        for _ in messages:
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

    def stop(self, unstarted: set[str]) -> None:
        """Read no more; give back the deliveries of these tags, and what had not been handed on."""
        self._unstarted = unstarted
        self._stopping.set()

    def close(self) -> None:
        """End the thread; what is still unacknowledged is the broker's to deliver again."""
        self._closing.set()
        self._stopping.set()
        self.join(timeout=10)
