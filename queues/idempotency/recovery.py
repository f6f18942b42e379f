"""Work that is due, and work whose worker or publisher died, is published by whichever worker looks first."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from queues.clock import Clock, SystemClock
from queues.errors import BrokerUnavailableError, InvalidMessageError, QueueError
from queues.idempotency.machine import QUEUE_WAIT_MS
from queues.idempotency.state import Answer, Confirm, Help, Kind, Operation, Record, State
from queues.idempotency.store import Store
from queues.idempotency.worker import worker_name
from queues.logs import about
from queues.message import Message
from queues.observer import Observer
from queues.priority import MAX_PRIORITY
from queues.tasks import Tasks

logger = logging.getLogger(__name__)

BATCH = 2_000
"""How much is looked for at once; when there is more, the next look follows at once."""
CHUNK = 100
"""So many are read, and taken, in one round trip; a message may have a megabyte."""
LONGEST_PERIOD_MS = 7_500
PERIODS_AHEAD = 2
"""A look sees what is held until then. A lease that is renewed in time has more left than two quarters of it."""
AFTER_DUE_MS = 20
PUBLISH_TRIES = 3
PUBLISH_PAUSE_S = 0.2
TAKEOVERS_A_LEASE = 4
"""When a copy was published and nobody began it, the next follows after this part of a lease, the one after that after
twice as long, and so on."""
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
    """A thread of a worker process: says that the worker lives, and publishes what is due or overdue.

    One worker in each period looks at the index. What is held until soon it publishes when it is due, without
    looking again. A lease that ended is seen within a quarter of the shortest lease, so that work goes on within
    about one lease of a `kill -9`, and not only when the broker's own visibility timeout ends.

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
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._backend = backend
        self._publish = publish
        self._is_ours = is_ours
        self._observer = observer or Observer()
        self._clock = clock or SystemClock()
        self._coming: list[tuple[int, str]] = []
        self._is_cut = False
        self._is_draining = False
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
        """Publish what is due, and give back what dead workers had fetched; how many messages that were."""
        published = self._publish_coming()
        if self._fetched is not None:
            self._fetched.keep()
        has_turn = self._store.take_turn("recovery", self.period_ms)
        if has_turn or self._is_draining:
            published += self._sweep()
        if has_turn and self._fetched is not None:
            published += self._fetched.give_back(max(self._shortest_lease_ms, SHORTEST_HELD_MS))
        return published

    @property
    def _shortest_lease_ms(self) -> int:
        return min((task.policy.lease_ms for task in self._tasks), default=4 * LONGEST_PERIOD_MS)

    def _sweep(self) -> int:
        found = self._store.due(PERIODS_AHEAD * self.period_ms, BATCH)
        now_ms = self._clock.monotonic_ms()
        self._coming = [(now_ms + due.in_ms + AFTER_DUE_MS, due.digest) for due in found if due.in_ms > 0]
        published = self._recovered([due.digest for due in found if due.in_ms <= 0])
        self._is_cut = len(found) == BATCH
        self._is_draining = self._is_cut and published > 0
        return published

    def _publish_coming(self) -> int:
        now_ms = self._clock.monotonic_ms()
        due = [digest for at_ms, digest in self._coming if at_ms <= now_ms]
        self._coming = self._coming[len(due) :]
        if due and self._is_cut and not self._coming:
            self._is_draining = True
        return self._recovered(due, held_only=True)

    def _recovered(self, digests: Sequence[str], *, held_only: bool = False) -> int:
        recovered = 0
        for start in range(0, len(digests), CHUNK):
            chunk = digests[start : start + CHUNK]
            try:
                recovered += self._recover(chunk, held_only=held_only)
            except QueueError as exc:
                logger.warning("the work of %d keys and more is left for a later look: %s", len(chunk), exc)
                break
            if self._stopping.is_set():
                break
        return recovered

    def _recover(self, digests: Sequence[str], *, held_only: bool) -> int:
        requests: list[tuple[str, Operation]] = []
        held: set[str] = set()
        for digest, record in zip(digests, self._store.read_many(digests), strict=True):
            if record is not None and record.is_held:
                held.add(record.owner)
            elif held_only:
                continue  # a lease that ends this moment may be renewed this moment: it is left to the next look
            help_ = self._help_for(record)
            if help_ is not None:
                requests.append((digest, help_))
        answers = [answer for answer in self._store.apply_many(requests) if answer.kind is Kind.HELP]
        states = {answer.owner: answer.state for answer in answers}
        published = self._published([_message_of(answer, is_held=answer.owner in held) for answer in answers])
        for sent in published:
            if sent.id not in held:
                self._observer.recovered(sent, states[sent.id])
        # From now on it is as any other that waits in its queue: it must not overtake the others as overdue.
        self._store.apply_many([(sent.digest, self._confirm(sent)) for sent in published if sent.id in held])
        return len(published)

    def _confirm(self, message: Message) -> Operation:
        wait_ms = QUEUE_WAIT_MS
        if message.begin_by_ms:
            wait_ms = max(0, min(wait_ms, message.begin_by_ms - self._clock.now_ms()))
        return Confirm(message.id, wait_ms, self._tasks.get(message.task).policy.lock_ttl_ms)

    def _help_for(self, record: Record | None) -> Help | None:
        if record is None or not record.state.is_live:
            return Help(LONGEST_PERIOD_MS, LONGEST_PERIOD_MS)  # drops a stale entry of the index
        try:
            message = Message.decoded(record.message)
        except InvalidMessageError as exc:
            # A newer worker may be able to read it; the others that are overdue must not wait behind it.
            logger.warning("the message of %s is left alone: %s", record.owner, exc)
            return None
        if message.task not in self._tasks or not self._is_ours(message):
            return None
        policy = self._tasks.get(message.task).policy
        # Whoever publishes it may die before that, or the copy may go to a worker that is cut off: what ran is taken
        # over soon again. What waits in a queue may only be late; more copies would make that queue longer.
        soon = TAKEOVERS_A_LEASE if record.state is State.RUNNING else 1
        return Help(policy.lease_ms // soon, policy.lock_ttl_ms)

    def _published(self, messages: Sequence[Message]) -> list[Message]:
        published, tries = [], PUBLISH_TRIES
        for message in messages:
            with about(message):
                try:
                    self._publish_soon(message, tries)
                    published.append(message)
                except QueueError as exc:
                    logger.warning("%s is left for a later look: %s", message.id, exc)
                    tries = 1
        return published

    def _publish_soon(self, message: Message, tries: int) -> None:
        # The next help is a quarter of a lease away, or more: a connection that was just reset must not cost that.
        for _ in range(tries - 1):
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
            self._stopping.wait(self._pause_s())

    def _pause_s(self) -> float:
        if self._is_draining:
            return 0
        next_ms = self._coming[0][0] - self._clock.monotonic_ms() if self._coming else self.period_ms
        return max(0, min(next_ms, self.period_ms)) / 1000


def _message_of(answer: Answer, *, is_held: bool) -> Message:
    message = Message.decoded(answer.message).owned_by(answer.owner)
    with about(message):
        if is_held:
            logger.info("%s is due: published", answer.owner)
            return message
        logger.warning("%s was %s and overdue: published again", answer.owner, answer.state.value)
    # It has waited for a lease already: it goes before what has not waited.
    return replace(message, priority=MAX_PRIORITY)
