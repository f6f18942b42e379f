"""Outcomes that this process was told a moment ago: they answer a repetition without asking the store."""

import threading
from dataclasses import dataclass

from queues.clock import Clock

MOST_ENTRIES = 10_000
MOST_BYTES = 16 * 1024 * 1024
MOST_BYTES_OF_ONE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Near:
    """A stored outcome, for a while.

    Args:
        owner: id of the message that stands for the work.
        outcome: the envelope.
        until_ms: by the monotonic clock of this process.
    """

    owner: str
    outcome: bytes
    until_ms: int


class NearCache:
    """The outcomes that were told last; the oldest make room.

    It holds what completed only: that is overwritten by nobody before it expires, unless somebody releases it, and so
    it may be told for a while longer. What fails or is in progress changes.
    """

    def __init__(self, clock: Clock, most_entries: int = MOST_ENTRIES, most_bytes: int = MOST_BYTES) -> None:
        self._clock = clock
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._entries: dict[tuple[str, str], Near] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, digest: str, fingerprint: str) -> Near | None:
        """The outcome of that work, of those arguments; None when none is known here."""
        near = self._entries.get((digest, fingerprint))
        return near if near is not None and near.until_ms > self._clock.monotonic_ms() else None

    def put(self, digest: str, fingerprint: str, owner: str, outcome: bytes, for_ms: int) -> None:
        """Tell the outcome for so long from now; a large one is not kept."""
        if len(outcome) > MOST_BYTES_OF_ONE:
            return
        near = Near(owner, outcome, self._clock.monotonic_ms() + for_ms)
        with self._lock:
            self._drop((digest, fingerprint))
            self._entries[digest, fingerprint] = near
            self._bytes += len(outcome)
            while len(self._entries) > self._most_entries or self._bytes > self._most_bytes:
                self._drop(next(iter(self._entries)))

    def _drop(self, key: tuple[str, str]) -> None:
        near = self._entries.pop(key, None)
        if near is not None:
            self._bytes -= len(near.outcome)
