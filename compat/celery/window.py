"""How many messages a worker may hold unacknowledged: Celery's prefetch count, over all queues together."""

import threading

UNLIMITED_MESSAGES = 65_535
PARTS = 4
"""Celery's prefetch multiplier: a quarter of the window is about one message for each process."""
PART_WAIT_S = 0.005


class Window:
    """Counted down as messages are read, and up as they are acknowledged, by the threads that do so."""

    def __init__(self) -> None:
        self.limit_messages = UNLIMITED_MESSAGES
        self._held_messages = 0
        self._changed = threading.Condition()

    def can_consume(self) -> bool:
        """Whether more may be fetched; Celery puts its own function here for `worker_disable_prefetch`."""
        return True

    @property
    def _free_messages(self) -> int:
        return self.limit_messages - self._held_messages

    def limit(self, messages: int) -> None:
        """Set how many may be held; 0 is no limit."""
        with self._changed:
            self.limit_messages = min(messages or UNLIMITED_MESSAGES, UNLIMITED_MESSAGES)
            self._changed.notify_all()

    def take(self, most: int) -> int:
        """How many more may be held, at most `most`; they count as held.

        Of a window that was full, a part is waited for: a round trip for each message would cost more than the message.
        """
        if not self.can_consume():
            return 0
        with self._changed:
            part = self.limit_messages // PARTS
            if part > 1 and self._free_messages < part:
                self._changed.wait_for(lambda: self._free_messages >= part, PART_WAIT_S)
            taken = max(min(most, self._free_messages), 0)
            self._held_messages += taken
            return taken

    def give(self, messages: int) -> None:
        """So many are no longer held."""
        with self._changed:
            self._held_messages = max(self._held_messages - messages, 0)
            # Each wake-up costs a switch of threads; who waits for a part looks again by itself.
            if self._free_messages in (1, self.limit_messages // PARTS):
                self._changed.notify_all()

    def wait(self, wait_s: float) -> None:
        """Return when something has changed, or after `wait_s`."""
        with self._changed:
            self._changed.wait(wait_s)
