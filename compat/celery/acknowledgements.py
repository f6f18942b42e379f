"""One thread that tells the broker which messages are done, many in one round trip, until the broker has heard it."""

import logging
import threading
import time
from typing import Any

from compat.celery.broker import BROKER_ERRORS

logger = logging.getLogger(__name__)

RETRY_S = 0.5
BATCH_S = 0.005
"""The least time between two round trips: one acknowledgement goes at once, many go together."""
FLUSH_S = 10.0
"""How long the end of a worker waits for a broker that does not answer; its messages are then delivered again."""


class Acknowledgements:
    """Takes acknowledgements from any thread. While the broker is away they are kept, and told again."""

    def __init__(self) -> None:
        self._done: list[Any] = []
        self._refused: list[tuple[Any, bool]] = []
        self._changed = threading.Condition()
        self._is_telling = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; harmless when it runs."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="acknowledgements", daemon=True)
            self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether the broker has not heard everything."""
        return bool(self._done or self._refused or self._is_telling)

    def add(self, message: Any) -> None:
        """The message is done."""
        with self._changed:
            self._done.append(message)
            self._changed.notify()

    def refuse(self, message: Any, *, requeue: bool) -> None:
        """The message goes back to its queue, or to the dead letters."""
        with self._changed:
            self._refused.append((message, requeue))
            self._changed.notify()

    def flush(self) -> None:
        """Return when the broker has heard everything, or after `FLUSH_S`."""
        deadline_s = time.monotonic() + FLUSH_S
        with self._changed:
            while self._thread is not None and self.is_busy and time.monotonic() < deadline_s:
                self._changed.wait(BATCH_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_telling = False
                while not self._done and not self._refused:
                    self._changed.wait()
                self._is_telling = True
                done, self._done = self._done, []
                refused, self._refused = self._refused, []
            try:
                self._tell(done, refused)
            except BROKER_ERRORS as exc:
                logger.warning("The broker did not hear what was acknowledged; trying again: %r", exc)
                with self._changed:
                    self._done = done + self._done
                    self._refused = refused + self._refused
                time.sleep(RETRY_S)
            else:
                # Without holding the lock: who acknowledges in the meantime does not wait.
                time.sleep(BATCH_S)

    def _tell(self, done: list[Any], refused: list[tuple[Any, bool]]) -> None:
        by_consumer: dict[int, list[Any]] = {}
        for message in done:
            by_consumer.setdefault(id(message.read_through), []).append(message)
        for messages in by_consumer.values():
            messages[0].read_through.ack_all(messages)
            done[:] = [message for message in done if message not in messages]
        while refused:
            message, requeue = refused[0]
            if requeue:
                message.read_through.requeue([message])
            else:
                message.read_through.nack(message)
            refused.pop(0)
