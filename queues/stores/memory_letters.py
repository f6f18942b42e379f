"""The dead letters of a `MemoryStore`, read."""

import threading
from collections.abc import Iterator
from itertools import islice

from queues.clock import Clock
from queues.idempotency.letters import Cursor, Letter, Shelf, Totals


class MemoryLetters:
    """The dead letters of a `MemoryStore`."""

    def __init__(self, clock: Clock, lock: threading.Lock, shelves: dict[str, Shelf]) -> None:
        self._clock = clock
        self._lock = lock
        self._shelves = shelves

    def get(self, message_id: str) -> Letter | None:
        """The letter of that message; None if there is none."""
        return next((letter for letter in self._newest_first() if letter.id == message_id), None)

    def newest(self, limit: int, before: Cursor | None = None) -> list[Letter]:
        """At most `limit` letters, the newest first, of those that are older than `before`."""
        older = (letter for letter in self._newest_first() if before is None or letter.cursor < before)
        return [*islice(older, limit)]

    def totals(self) -> Totals:
        """How many there are."""
        kept = sum(1 for _ in self._newest_first())
        return Totals(kept, sum(shelf.removed for shelf in [*self._shelves.values()]))

    def _newest_first(self) -> Iterator[Letter]:
        with self._lock:
            kept = [letter for shelf in self._shelves.values() for letter in shelf.letters.values()]
        kept.sort(key=lambda letter: letter.cursor, reverse=True)
        return (letter for letter in kept if letter.expires_ms > self._clock.now_ms())
