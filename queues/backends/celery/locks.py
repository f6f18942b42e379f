"""Locks that a program takes and ends itself, in the same records as those of its tasks."""

from typing import Any

from queues.errors import TaskFailedError
from queues.executor import MAX_RESULT_BYTES
from queues.idempotency import envelope
from queues.idempotency import key as keys
from queues.idempotency.guard import Guard
from queues.message import MANUAL, Message
from queues.run import Run
from queues.task import AnyTask


class Locks:
    """The locks of one task that this process holds."""

    def __init__(self, task: AnyTask, guard: Guard) -> None:
        self._task = task
        self._guard = guard
        self._held: dict[str, Run] = {}

    def acquire(self, digest: str) -> bool:
        """Take the lock of a digest; False when another has it, or there is an outcome."""
        message = Message(
            keys.message_id(digest),
            self._task.name,
            self._task.queue,
            digest,
            options={MANUAL: {}},  # no backend's, so that recovery publishes no message of it
        )
        _, run = self._guard.begin(message, self._task.policy)
        if run is not None:
            self._held[digest] = run
        return run is not None

    def result(self, digest: str, default: Any) -> Any:
        """The stored result, or `default`.

        Raises:
            TaskFailedError: what is stored is a failure.
        """
        record = self._guard.store.read(digest)
        if record is None or not record.outcome:
            return default
        value, failure = envelope.opened(record.outcome)
        if failure is not None:
            raise TaskFailedError(failure)
        return value

    def complete(self, digest: str, result: Any) -> bool:
        """Store the result and end the lock."""
        outcome = envelope.of_value(result, MAX_RESULT_BYTES)
        run = self._held.pop(digest, None)
        return run is not None and self._guard.complete(run, self._task.policy, outcome)

    def release(self, digest: str) -> bool:
        """End the lock without a result."""
        run = self._held.pop(digest, None)
        return run is not None and self._guard.release(run, self._task.policy, is_forgotten=True)
