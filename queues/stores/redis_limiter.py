"""Limits in Redis or Valkey: each start is one script, on the server's clock."""

from collections.abc import Callable, Sequence
from typing import Any

from queues.limits import concurrency, rate
from queues.limits.concurrency import Slot
from queues.limits.rate import Turn
from queues.stores.scripts import Call, Keys, script


class RedisLimiter:
    """Counts the starts and the runs of all workers of one server.

    Args:
        run: the replies to scripts, in one round trip.
        remove: takes a member out of a sorted set.
        now_ms: the clock of a test, or None.
    """

    def __init__(
        self,
        keys: Keys,
        run: Callable[[Sequence[Call]], list[Any]],
        remove: Callable[[str, str], None],
        now_ms: Callable[[], int | None],
    ) -> None:
        self._keys = keys
        self._run = run
        self._remove = remove
        self._now_ms = now_ms

    def take_turn(self, task: str, message_id: str, interval_us: int) -> Turn:
        """The message's turn under the task's rate, or its place in the line."""
        arguments = (message_id, self._now(), interval_us, rate.SHORT_WAIT_US, rate.PLACE_KEPT_US)
        [(is_given, wait_ms)] = self._run([Call(script("rate"), self._keys.rate(task), arguments)])
        return Turn(bool(is_given), wait_ms)

    def take_slot(self, slot: Slot) -> int:
        """0 when the slot is taken, else the ms after which to ask again."""
        waits = (concurrency.SHORTEST_WAIT_MS, concurrency.LONGEST_WAIT_MS, concurrency.MS_PER_WAITING)
        asked = (slot.member, self._now(), slot.holder, slot.limit, slot.lease_ms)
        arguments = (*asked, *waits, concurrency.OVERDUE_AFTER_MS)
        [wait_ms] = self._run([Call(script("take_slot"), self._keys.slots(slot.name), arguments)])
        return int(wait_ms)

    def keep_slots(self, slots: Sequence[Slot]) -> list[bool]:
        """Renew slots, in one round trip: whether each is still held."""
        return [bool(is_kept) for is_kept in self._run([self._renewal(slot) for slot in slots])]

    def free_slot(self, slot: Slot) -> None:
        """Let another run have the slot."""
        self._remove(self._keys.slots(slot.name)[0], slot.member)

    def _renewal(self, slot: Slot) -> Call:
        arguments = (slot.member, self._now(), slot.limit, slot.lease_ms)
        return Call(script("keep_slot"), self._keys.slots(slot.name)[:1], arguments)

    def _now(self) -> int | str:
        now_ms = self._now_ms()
        return "" if now_ms is None else now_ms
