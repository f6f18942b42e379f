"""Limits in this process: the pure functions of `queues.limits` under a lock."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

from queues.clock import Clock
from queues.limits.concurrency import Slot, SlotAnswer, Slots, keep_slot, take_slot
from queues.limits.rate import Line, Turn, take_turn


class MemoryLimiter:
    """Counts the starts and the runs of this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._lines: dict[str, Line] = {}
        self._slots: dict[str, Slots] = {}

    def take_turn(self, task: str, message_id: str, interval_us: int) -> Turn:
        """The message's turn under the task's rate, or its place in the line."""
        with self._lock:
            line = self._lines.get(task, Line())
            self._lines[task], turn = take_turn(line, message_id, interval_us, self._clock.now_ms() * 1000)
            return turn

    def take_slot(self, slot: Slot, verified_ms: Mapping[str, int]) -> SlotAnswer:
        """The slot, or when to ask again."""
        with self._lock:
            held = self._slots.get(slot.name, Slots())
            self._slots[slot.name], answer = take_slot(held, slot, verified_ms, self._clock.now_ms())
            return answer

    def keep_slots(self, slots: Sequence[Slot]) -> list[bool]:
        """Renew slots: whether each is still held."""
        return [self._keep(slot) for slot in slots]

    def free_slot(self, slot: Slot) -> None:
        """Let another run have the slot."""
        with self._lock:
            held = self._slots.get(slot.name, Slots())
            ends_ms = {member: end for member, end in held.ends_ms.items() if member != slot.member}
            if ends_ms or held.waiting_ms:
                self._slots[slot.name] = replace(held, ends_ms=ends_ms)
            else:
                self._slots.pop(slot.name, None)

    def _keep(self, slot: Slot) -> bool:
        with self._lock:
            held = self._slots.get(slot.name, Slots())
            self._slots[slot.name], is_kept = keep_slot(held, slot, self._clock.now_ms())
            return is_kept
