"""Records in this process: the specification under a lock."""

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence

from queues.clock import Clock, SystemClock
from queues.errors import InvalidOptionError, StoreUnavailableError
from queues.idempotency import letters
from queues.idempotency.in_turn import AsyncInTurn, InTurn
from queues.idempotency.letters import Shelf
from queues.idempotency.standby import NoStandby, Standby
from queues.idempotency.state import Admit, Answer, Operation, Record
from queues.idempotency.store import WORKER_SEEN_WITHIN_MS, Due, WorkerInfo, chosen
from queues.limits.limiter import Limiter
from queues.stores.memory_letters import MemoryLetters
from queues.stores.memory_limiter import MemoryLimiter


class MemoryStore:
    """A store for tests and first tries; its records end with the process.

    Args:
        clock: injected by tests.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._records: dict[str, Record] = {}
        self._shelves: defaultdict[str, Shelf] = defaultdict(Shelf)
        self.letters = MemoryLetters(self._clock, self._lock, self._shelves)
        self._turns: dict[str, int] = {}
        self._ticks: dict[str, int] = {}
        self._workers: dict[str, int] = {}
        self.standby: Standby = NoStandby()
        self.limiter: Limiter = MemoryLimiter(self._clock)

    def apply(self, digest: str, operation: Operation) -> Answer:
        """The answer to one operation, as `machine.apply` states it.

        Raises:
            InvalidOptionError: a publication, which only a Redis store can carry out.
        """
        if isinstance(operation, Admit) and operation.publication is not None:
            msg = "the memory store has no queue to publish to"
            raise InvalidOptionError(msg)
        with self._lock:
            shelf = self._shelves[digest[:2]]
            record, answer = letters.apply(shelf, digest, self._current(digest), operation, self._clock.now_ms())
            if record is None:
                self._records.pop(digest, None)
            else:
                self._records[digest] = record
            return answer

    def apply_many(self, requests: Sequence[tuple[str, Operation]]) -> list[Answer]:
        """The answers to several operations, in order."""
        return [self.apply(digest, operation) for digest, operation in requests]

    def pipeline(self) -> InTurn:
        """Takes one batch after another."""
        return InTurn(self)

    def apply_each(
        self, requests: Sequence[tuple[str, Operation]], within_ms: int | None = None
    ) -> list[Answer | StoreUnavailableError]:
        """As `apply_many`."""
        return [*self.apply_many(requests)]

    def read(self, digest: str) -> Record | None:
        """The record; None if there is none."""
        with self._lock:
            return self._current(digest)

    def read_many(self, digests: Sequence[str]) -> list[Record | None]:
        """The records of several keys."""
        return [self.read(digest) for digest in digests]

    def due(self, within_ms: int, limit: int) -> list[Due]:
        """At most `limit` keys whose message anyone may publish within that time."""
        with self._lock:
            now_ms = self._clock.now_ms()
            found = [
                Due(digest, record.help_at_ms - now_ms)
                for digest, record in self._records.items()
                if record.state.is_live and record.help_at_ms <= now_ms + within_ms and now_ms < record.expires_ms
            ]
        return chosen(found, limit)

    def take_turn(self, name: str, period_ms: int) -> bool:
        """Whether the caller is the first in `period_ms` to ask for the turn of that name."""
        with self._lock:
            now_ms = self._clock.now_ms()
            if self._turns.get(name, 0) > now_ms:
                return False
            self._turns[name] = now_ms + period_ms
            return True

    def ticks(self) -> tuple[Mapping[str, int], int]:
        """The last moment of each schedule that was submitted, and the clock."""
        with self._lock:
            return dict(self._ticks), self._clock.now_ms()

    def ticked(self, name: str, moment_ms: int) -> None:
        """Remember that the schedule of that name has submitted this moment."""
        with self._lock:
            self._ticks[name] = max(moment_ms, self._ticks.get(name, moment_ms))

    def unfinished(self) -> int:
        """How many keys have work that is queued, running or waiting."""
        with self._lock:
            return sum(r.state.is_live for d, r in [*self._records.items()] if self._current(d) is not None)

    def announce(self, worker: str) -> None:
        """Say that a worker lives; it is forgotten `WORKER_SEEN_WITHIN_MS` later."""
        with self._lock:
            self._workers[worker] = self._clock.now_ms()

    def workers(self) -> list[WorkerInfo]:
        """The workers that live."""
        with self._lock:
            oldest_ms = self._clock.now_ms() - WORKER_SEEN_WITHIN_MS
            return [
                WorkerInfo(name, name.partition("@")[0], seen_ms)
                for name, seen_ms in sorted(self._workers.items())
                if seen_ms > oldest_ms
            ]

    def ping(self) -> None:
        """Return at once."""

    def close(self) -> None:
        """Keep the records: the process may connect again."""

    def _current(self, digest: str) -> Record | None:
        record = self._records.get(digest)
        if record is not None and record.expires_ms <= self._clock.now_ms():
            del self._records[digest]
            return None
        return record


class AsyncMemoryStore:
    """The same records for an event loop; nothing here waits."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def apply(self, digest: str, operation: Operation) -> Answer:
        """The answer to one operation."""
        return self._store.apply(digest, operation)

    async def apply_many(self, requests: Sequence[tuple[str, Operation]]) -> list[Answer]:
        """The answers to several operations, in order."""
        return self._store.apply_many(requests)

    def pipeline(self) -> AsyncInTurn:
        """Takes one batch after another."""
        return AsyncInTurn(self)

    async def read(self, digest: str) -> Record | None:
        """The record; None if there is none."""
        return self._store.read(digest)

    async def unfinished(self) -> int:
        """How many keys have work without an outcome."""
        return self._store.unfinished()

    async def workers(self) -> list[WorkerInfo]:
        """The workers that live."""
        return self._store.workers()

    async def ping(self) -> None:
        """Return at once."""

    async def close(self) -> None:
        """Keep the records."""
