"""Remote control: Celery's mailbox and commands; only what concerns queues goes to Dramatiq's broker."""

from typing import Any

from celery.app import control


class Control(control.Control):
    """Celery's `app.control`."""

    def purge(self, connection: Any = None) -> int:
        """Drop every waiting task of the queues that the application consumes from; returns how many."""
        return int(self.app.amqp.TaskConsumer(connection).purge())

    discard_all = purge
