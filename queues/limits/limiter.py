"""The seam between the limits and the place where they are counted."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from queues.limits.concurrency import Slot, SlotAnswer
from queues.limits.rate import Turn


class Limiter(Protocol):
    """Counts the starts and the runs of all workers, each call in one atomic step on the store's clock.

    Every method raises StoreUnavailableError when the store does not answer.
    """

    def take_turn(self, task: str, message_id: str, interval_us: int) -> Turn:
        """The message's turn under the task's rate, or its place in the line, as `rate.take_turn` states it."""
        ...

    def take_slot(self, slot: Slot, verified_ms: Mapping[str, int]) -> SlotAnswer:
        """The slot, or when to ask again, as `concurrency.take_slot` states it."""
        ...

    def keep_slots(self, slots: Sequence[Slot]) -> list[bool]:
        """Renew slots, in one round trip: whether each is still held, as `concurrency.keep_slot` states it."""
        ...

    def free_slot(self, slot: Slot) -> None:
        """Let another run have the slot."""
        ...
