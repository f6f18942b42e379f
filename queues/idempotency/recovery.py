"""Work whose worker or publisher died is published again, by whichever worker looks first."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from queues.errors import BrokerUnavailableError, InvalidMessageError, QueueError
from queues.idempotency.state import Help, Kind
from queues.idempotency.store import Store
from queues.idempotency.worker import worker_name
from queues.logs import about
from queues.message import Message
from queues.observer import Observer
from queues.priority import MAX_PRIORITY
from queues.task import Tasks

logger = logging.getLogger(__name__)

BATCH = 500
LONGEST_PERIOD_MS = 7_500
PUBLISH_TRIES = 3
PUBLISH_PAUSE_S = 0.2
SHORTEST_HELD_MS = 5_000
"""For this long at least, a worker may say nothing of the messages that it has fetched."""


class Fetched(Protocol):
    """What workers have fetched from the broker and not acknowledged.

    A broker that keeps a connection to its consumers gives the messages of a dead one to another at once; one that
    does not waits for a timeout of its own, of minutes or an hour.
    """

    def keep(self) -> None:
        """Say that this worker lives, and what it holds. Raises BrokerUnavailableError."""
        ...

    def give_back(self, silent_ms: int) -> int:
        """Put the messages of workers that said nothing for so long back on their queues; how many.

        Raises:
            BrokerUnavailableError: no answer.
        """
        ...


class Recovery:
    """A thread of a worker process: says that the worker lives, and publishes overdue messages again.

    A lease that ended is seen within a quarter of the shortest lease, so that work goes on within about one lease
    of a `kill -9`, and not only when the broker's own visibility timeout ends.

    Args:
        backend: its name.
        publish: puts a message on its queue, to be delivered after so many ms.
        is_ours: whether this backend can publish a message of another's making.
    """

    def __init__(
        self,
        store: Store,
        tasks: Tasks,
        backend: str,
        publish: Callable[[Message, int], None],
        is_ours: Callable[[Message], bool],
        observer: Observer | None = None,
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._backend = backend
        self._publish = publish
        self._is_ours = is_ours
        self._observer = observer or Observer()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._fetched: Fetched | None = None

    def also_give_back(self, fetched: Fetched) -> None:
        """Give back what dead workers had fetched, too."""
        self._fetched = fetched

    def start(self) -> None:
        """Look every now and then, until `stop`."""
        self._store.standby.prepare()
        self._thread = threading.Thread(target=self._loop, name="onceq-recovery", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def period_ms(self) -> int:
        """Between two looks: a quarter of the shortest lease."""
        return max(100, min(LONGEST_PERIOD_MS, self._shortest_lease_ms // 4))

    def look(self) -> int:
        """Publish what is overdue, and give back what dead workers had fetched; how many messages that were."""
        if self._fetched is not None:
            self._fetched.keep()
        if not self._store.take_turn("recovery", self.period_ms):
            return 0
        found = sum(self._recovered(digest) for digest in self._store.overdue(BATCH))
        if self._fetched is not None:
            found += self._fetched.give_back(max(self._shortest_lease_ms, SHORTEST_HELD_MS))
        return found

    @property
    def _shortest_lease_ms(self) -> int:
        return min((task.policy.lease_ms for task in self._tasks), default=4 * LONGEST_PERIOD_MS)

    def _recovered(self, digest: str) -> bool:
        try:
            return self._recover(digest)
        except QueueError as exc:
            logger.warning("the work of key %s is left for a later look: %s", digest, exc)
            return False

    def _recover(self, digest: str) -> bool:
        record = self._store.read(digest)
        if record is None or not record.state.is_live:
            self._store.apply(digest, Help(LONGEST_PERIOD_MS, LONGEST_PERIOD_MS))  # drops a stale entry of the index
            return False
        try:
            message = Message.decoded(record.message)
        except InvalidMessageError as exc:
            # A newer worker may be able to read it; the others that are overdue must not wait behind it.
            logger.warning("the message of %s is left alone: %s", record.owner, exc)
            return False
        if message.task not in self._tasks or not self._is_ours(message):
            return False
        policy = self._tasks.get(message.task).policy
        answer = self._store.apply(digest, Help(policy.lease_ms, policy.lock_ttl_ms))
        if answer.kind is not Kind.HELP:
            return False
        # It has waited for a lease already: it goes before what has not waited.
        message = replace(Message.decoded(answer.message).owned_by(answer.owner), priority=MAX_PRIORITY)
        with about(message):
            logger.warning("%s was %s and overdue: published again", message.id, answer.state.value)
            self._publish_soon(message)
            self._observer.recovered(message, answer.state)
        return True

    def _publish_soon(self, message: Message) -> None:
        # The next help is a lease away or more: a connection that was just reset must not cost that.
        for _ in range(PUBLISH_TRIES - 1):
            try:
                return self._publish(message, 0)
            except BrokerUnavailableError as exc:
                logger.warning("%s is published again: %s", message.id, exc)
                self._stopping.wait(PUBLISH_PAUSE_S)
        return self._publish(message, 0)

    def _loop(self) -> None:
        worker = worker_name(self._backend)
        while not self._stopping.is_set():
            try:
                self._store.announce(worker)
                self.look()
            except QueueError as exc:
                logger.warning("recovery will look again: %s", exc)
            except Exception:  # the outermost loop: without it, nobody would take over the work of the dead
                logger.exception("recovery will look again")
            self._stopping.wait(self.period_ms / 1000)
