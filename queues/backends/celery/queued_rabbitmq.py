"""What waits on Celery's queues in RabbitMQ."""

from collections.abc import Callable, Sequence
from typing import Any

from celery import Celery

from queues.backends.celery.queued import read, translated
from queues.message import Message
from queues.queued import Lane, Look, Taken, sorted_out
from queues.tasks import Tasks

NOT_FOUND = 404


class RabbitmqQueued:
    """The queues that the app's workers consume, read one message at a time."""

    def __init__(self, app: Celery, tasks: Tasks) -> None:
        self._tasks = tasks
        self._queues: dict[str, Any] = {queue.name: queue for queue in app.amqp.queues.values()}
        self._connection: Any = app.connection_for_read()
        self._channel: Any = None

    @property
    def lanes(self) -> Sequence[Lane]:
        """Every queue of the app; what is not due yet is with a worker."""
        return [Lane(name, name) for name in sorted(self._queues)]

    def depth_messages(self, lane: Lane) -> int:
        """How many messages wait in a queue; 0 when there is no such queue."""
        with translated(self._connection):
            try:
                declared = self._open().queue_declare(queue=lane.name, passive=True)
            except self._connection.channel_errors as exc:
                # RabbitMQ closes the channel that asked for what is not there, and gives back what it held.
                self._channel = None
                if exc.reply_code != NOT_FOUND:
                    raise
                return 0
            return int(declared.message_count)

    def held_messages(self) -> None:
        """None: RabbitMQ tells its management interface alone."""

    def take(self, lane: Lane, limit: int, passed_over: int, is_wanted: Callable[[Message], bool]) -> Look:
        """The next messages of a queue; the unwanted ones are held, too."""
        found: list[Taken] = []
        with translated(self._connection):
            queue = self._queues[lane.name](self._open())
            while len(found) < limit and (native := queue.get(no_ack=False, accept=["json"])) is not None:
                found.append(read(native, self._tasks, native))
        return sorted_out(found, is_wanted)

    def remove(self, taken: Sequence[Taken]) -> None:
        """Ack these."""
        with translated(self._connection):
            for each in taken:
                each.native.ack()

    def give_back(self, taken: Sequence[Taken]) -> None:
        """Requeue these, where they were."""
        with translated(self._connection):
            for each in taken:
                each.native.requeue()

    def close(self) -> None:
        """Close the connection; RabbitMQ requeues what was neither acked nor requeued."""
        with translated(self._connection):
            self._connection.release()

    def _open(self) -> Any:
        if self._channel is None:
            self._channel = self._connection.channel()
        return self._channel
