"""Take queued work away: its records end as cancelled, so that nobody waits for ever, and its messages are removed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from queues.idempotency.state import Answer, Cancel, Kind, State
from queues.idempotency.store import Store
from queues.inspection import Inspector, Work, batches
from queues.message import Message
from queues.queued import Lane, Look, Queued, Taken

BATCH = 100
CANCELLED_TTL_MS = 3_600_000
"""How long a cancellation is kept, as that of a handle."""
BEFORE = frozenset({State.QUEUED.value, State.WAITING.value})


@dataclass(slots=True)
class Purged:
    """What was done.

    Args:
        cancelled: tasks that will not run.
        removed: messages that were taken off the broker, copies too.
        spared: tasks that had begun meanwhile.
    """

    cancelled: int = 0
    removed: int = 0
    spared: int = 0


class Purge:
    """The queued work of one application, or some of it.

    What runs is never touched. A message that a chain, group or pipeline waits for stays: a worker answers it with
    the cancellation, so that what waits for it ends too.

    Args:
        is_meant: chooses by the task's name and its queue.
    """

    def __init__(self, store: Store, queued: Queued, is_meant: Callable[[str, str], bool]) -> None:
        self._store = store
        self._queued = queued
        self._is_meant = is_meant
        self.purged = Purged()

    def meant(self, inspector: Inspector) -> Iterator[Work]:
        """The work that a purge would end, by the records."""
        return inspector.live(is_wanted=self._is_wanted, states=BEFORE)

    def by_messages(self) -> None:
        """End the work whose messages are on the broker, and remove them.

        Raises:
            StoreUnavailableError, BrokerUnavailableError: what is done is done; it can be called again.
        """
        for lane in self._queued.lanes:
            self._purge_lane(lane)

    def by_records(self, inspector: Inspector) -> None:
        """End what is left: it waits for its time, or is with a worker that has not begun it.

        Raises:
            StoreUnavailableError: what is done is done; it can be called again.
        """
        for digests in batches((work.digest for work in self.meant(inspector)), BATCH):
            self._cancelled(digests)

    def _purge_lane(self, lane: Lane) -> None:
        # What is submitted meanwhile stays behind the end that the lane has now.
        ahead, passed_over, held_back = self._queued.depth_messages(lane), 0, list[Taken]()
        try:
            while ahead > 0:
                look = self._queued.take(lane, min(BATCH, ahead), passed_over, self._is_plain)
                held_back += [*look.others, *self._ended(look)]
                passed_over += look.others_seen
                ahead = ahead - look.seen if look.seen else 0
        finally:
            self._queued.give_back(held_back)

    def _ended(self, look: Look) -> list[Taken]:
        """The messages of work that runs, which are its copies."""
        answers = self._cancelled([taken.message.digest for taken in look.taken if taken.message is not None])
        running = [taken for taken, answer in zip(look.taken, answers, strict=True) if answer.kind is Kind.BUSY]
        gone = [taken for taken, answer in zip(look.taken, answers, strict=True) if answer.kind is not Kind.BUSY]
        self._queued.remove(gone)
        self.purged.removed += len(gone)
        return running

    def _cancelled(self, digests: list[str]) -> list[Answer]:
        request = Cancel(CANCELLED_TTL_MS, spares_running=True)
        answers = self._store.apply_many([(digest, request) for digest in digests])
        self.purged.cancelled += sum(answer.kind is Kind.OK for answer in answers)
        self.purged.spared += sum(answer.kind is Kind.BUSY for answer in answers)
        return answers

    def _is_plain(self, message: Message) -> bool:
        return not message.options and self._is_meant(message.task, message.queue)

    def _is_wanted(self, work: Work) -> bool:
        message = work.message
        return message is not None and not work.is_manual and self._is_meant(message.task, message.queue)
