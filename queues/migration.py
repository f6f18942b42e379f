"""Move from one backend to another while both have workers and producers go on.

The records do not depend on the backend, so what matters is only that no queue is forgotten: a message is published
on the new backend before it is removed from the old one, and a copy on each, after a crash in between, runs once.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from queues.backend import Backend
from queues.clock import Clock
from queues.queued import Lane, Queued, Taken

BATCH = 100
MAX_HELD_BACK = 1_000
"""So many messages that have to stay are held while those behind them are looked at; workers get them back then."""
LOOKS_UNTIL_EMPTY = 3
"""A message that is being handed to a worker is, for a moment, in no place that can be counted."""
LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Tally:
    """How far a migration is.

    Args:
        moved: messages published on the new backend and removed from the old one.
        left: messages that only the old backend's workers can end, as the last look found them.
        queued: messages on the old backend's queues, those that are left too.
        held: messages that the old backend's workers hold; None while it moves.
        is_held_exact: its broker told; else only what runs is known, from the records.
    """

    moved: int = 0
    left: int = 0
    queued: int = 0
    held: int | None = 0
    is_held_exact: bool = True

    @property
    def waiting(self) -> int:
        """Messages of the old backend that are neither moved nor left."""
        return max(0, self.queued - self.left) + (self.held or 0)

    @property
    def is_empty(self) -> bool:
        """Whether the old backend has nothing more, as far as is known."""
        return not self.queued and not self.held


class Migration:
    """The queues of one backend on their way to another.

    Args:
        clock: tells when delayed messages are due.
        stopping: set to end early; nothing is lost by it.
        tell: is told now and then how far it is.
        running: how many tasks the old backend's workers run, by the records; asked where its broker does not tell.
    """

    def __init__(
        self,
        source: Queued,
        target: Backend,
        clock: Clock,
        stopping: threading.Event,
        tell: Callable[[Tally], None],
        running: Callable[[], int],
    ) -> None:
        self._source = source
        self._target = target
        self._clock = clock
        self._stopping = stopping
        self._tell = tell
        self._running = running
        self._moved = 0

    def look(self, left: int = 0) -> Tally:
        """What the old backend has now.

        Raises:
            BrokerUnavailableError: its broker does not answer.
        """
        queued = sum(self._source.depth_messages(lane) for lane in self._source.lanes)
        held = self._source.held_messages()
        if held is None:
            return Tally(self._moved, left, queued, self._running(), is_held_exact=False)
        return Tally(self._moved, left, queued, held)

    def drain(self) -> Tally:
        """Wait until the old backend's workers have ended everything; what is there when it returns.

        Raises:
            BrokerUnavailableError: a broker does not answer.
        """
        empty_looks = 0
        while True:
            tally = self.look()
            self._tell(tally)
            empty_looks = empty_looks + 1 if tally.is_empty else 0
            if empty_looks == LOOKS_UNTIL_EMPTY or self._stopping.wait(LOOK_EVERY_S):
                return tally

    def move(self) -> Tally:
        """Move what is queued, until a look at every queue finds nothing more that can be moved.

        Raises:
            BrokerUnavailableError: a broker does not answer; what was taken goes back to its queue.
        """
        while True:
            moved_before, left = self._moved, 0
            for lane in self._source.lanes:
                left += self._move_lane(lane)
            tally = self.look(left)
            self._tell(tally)
            if self._moved == moved_before or self._stopping.is_set():
                return tally

    def _move_lane(self, lane: Lane) -> int:
        # What comes meanwhile is seen in the next look: the end of a lane that fills up is never reached.
        ahead, left, held_back = self._source.depth_messages(lane), 0, list[Taken]()
        try:
            while ahead > 0 and len(held_back) < MAX_HELD_BACK and not self._stopping.is_set():
                look = self._source.take(lane, min(BATCH, ahead), left, self._target.is_ours)
                held_back += look.others
                left += look.others_seen
                self._move_on(look.taken)
                ahead = ahead - look.seen if look.seen else 0
                self._tell(Tally(self._moved, left, ahead + left, None))
        finally:
            self._source.give_back(held_back)
        return left

    def _move_on(self, taken: Sequence[Taken]) -> None:
        now_ms = self._clock.now_ms()
        try:
            self._target.publish_many([(t.message, max(0, t.due_ms - now_ms)) for t in taken if t.message is not None])
        except BaseException:
            self._source.give_back(taken)
            raise
        self._source.remove(taken)
        self._moved += len(taken)
