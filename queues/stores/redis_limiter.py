"""Limits in Redis or Valkey: each start is one script, on the server's clock."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from queues.limits import concurrency, rate
from queues.limits.concurrency import Slot, SlotAnswer
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

    def take_slot(self, slot: Slot, verified_ms: Mapping[str, int]) -> SlotAnswer:
        """The slot, or when to ask again."""
        waits = (concurrency.SHORTEST_WAIT_MS, concurrency.LONGEST_WAIT_MS, concurrency.MS_PER_WAITING)
        asked = (slot.member, self._now(), slot.digest, slot.limit, slot.lease_ms)
        verified = (part for pair in verified_ms.items() for part in pair)
        arguments = (*asked, *waits, concurrency.OVERDUE_AFTER_MS, *verified)
        [reply] = self._run([Call(script("take_slot"), self._keys.slots(slot.name), arguments)])
        if not reply[0]:
            return SlotAnswer(0)
        wait_ms, now_ms, *ended = reply
        return SlotAnswer(int(wait_ms), int(now_ms), tuple(sorted(member.decode() for member in ended)))

    def keep_slots(self, slots: Sequence[Slot]) -> list[bool]:
        """Renew slots, in one round trip: whether each is still held."""
        return [bool(is_kept) for is_kept in self._run([self._renewal(slot) for slot in slots])]

    def free_slot(self, slot: Slot) -> None:
        """Let another run have the slot."""
        self._remove(self._keys.slots(slot.name)[0], slot.member)

    def _renewal(self, slot: Slot) -> Call:
        arguments = (slot.member, self._now(), slot.lease_ms, concurrency.OVERDUE_AFTER_MS)
        return Call(script("keep_slot"), self._keys.slots(slot.name)[:1], arguments)

    def _now(self) -> int | str:
        now_ms = self._now_ms()
        return "" if now_ms is None else now_ms
