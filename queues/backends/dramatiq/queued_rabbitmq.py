"""What waits on Dramatiq's queues in RabbitMQ."""

from collections.abc import Callable, Sequence
from typing import Any

import pika
import pika.exceptions
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from queues.backends.dramatiq.broker_errors import translated
from queues.backends.dramatiq.queued import lanes, read
from queues.message import Message
from queues.queued import Lane, Look, Taken, sorted_out
from queues.tasks import Tasks

NOT_FOUND = 404


class RabbitmqQueued:
    """The queues of Dramatiq's RabbitMQ broker, read one message at a time."""

    def __init__(self, broker: RabbitmqBroker, tasks: Tasks) -> None:
        self._broker = broker
        self._tasks = tasks
        self._connection: Any = None
        self._channel: Any = None

    @property
    def lanes(self) -> Sequence[Lane]:
        """Every queue that was declared, and those of delayed messages."""
        return lanes(self._broker)

    def depth_messages(self, lane: Lane) -> int:
        """How many messages wait in a queue; 0 when there is no such queue."""
        with translated():
            try:
                return int(self._open().queue_declare(lane.name, passive=True).method.message_count)
            except pika.exceptions.ChannelClosedByBroker as exc:
                self._channel = None
                if exc.reply_code != NOT_FOUND:
                    raise
                return 0

    def held_messages(self) -> None:
        """None: RabbitMQ tells its management interface alone."""

    def take(self, lane: Lane, limit: int, passed_over: int, is_wanted: Callable[[Message], bool]) -> Look:
        """The next messages of a queue; the unwanted ones are held, too."""
        found: list[Taken] = []
        with translated():
            while len(found) < limit:
                method, _, body = self._open().basic_get(lane.name)
                if method is None:
                    break
                found.append(read(body, self._tasks, method.delivery_tag))
        return sorted_out(found, is_wanted)

    def remove(self, taken: Sequence[Taken]) -> None:
        """Ack these."""
        with translated():
            for each in taken:
                self._open().basic_ack(each.native)

    def give_back(self, taken: Sequence[Taken]) -> None:
        """Requeue these, where they were."""
        with translated():
            for each in taken:
                self._open().basic_nack(each.native, requeue=True)

    def close(self) -> None:
        """Close the connection; RabbitMQ requeues what was neither acked nor requeued."""
        with translated():
            if self._connection is not None and self._connection.is_open:
                self._connection.close()

    def _open(self) -> Any:
        # Not the broker's own: that one publishes, and may be renewed at any error.
        if self._connection is None:
            self._connection = pika.BlockingConnection(parameters=self._broker.parameters)
        if self._channel is None:
            self._channel = self._connection.channel()
        return self._channel
