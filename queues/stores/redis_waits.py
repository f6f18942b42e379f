"""What work that was begun and given back waits for: a turn under its task's rate, or a slot. Plain reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from queues.limits.concurrency import Slot
from queues.stores.connection import Clients, masters, translated
from queues.stores.pattern import literal
from queues.stores.scripts import Keys

SCAN_COUNT = 1_000
MAX_SCANS = 1_000
"""The slots of a key have names that only the application can compute: they are looked for among so many keys."""


@dataclass(frozen=True, slots=True)
class RateWait:
    """A place in the line of a task's rate.

    Args:
        in_ms: until the place; negative when it is past, and the message late.
        ahead: how many have an earlier place.
    """

    kind: ClassVar[str] = "rate"
    in_ms: int
    ahead: int


@dataclass(frozen=True, slots=True)
class SlotWait:
    """Work that found no slot of its limit.

    Args:
        holders: the digests of the work that has the slots.
        waiting: how many wait for one, this work among them.
    """

    kind: ClassVar[str] = "concurrency"
    holders: tuple[str, ...]
    waiting: int


class RedisWaits:
    """Looks for work in the lines of its task's limits."""

    def __init__(self, clients: Clients, keys: Keys) -> None:
        self._clients = clients
        self._keys = keys

    def rate(self, task: str, message_id: str, now_ms: int) -> RateWait | None:
        """The message's place in the line of its task's rate; None when it has none."""
        places = self._keys.rate(task)[1]
        with translated():
            pipe: Any = self._clients.current.pipeline(transaction=False)
            pipe.zscore(places, message_id)
            pipe.zrank(places, message_id)
            place_us, ahead = pipe.execute()
        return None if place_us is None or ahead is None else RateWait(int(place_us) // 1000 - now_ms, int(ahead))

    def slot(self, task: str, digest: str) -> SlotWait | None:
        """Which slots the work waits for; None when it waits for none."""
        for name in self._slot_names(task):
            slots, waiting = self._keys.slots(name)
            with translated():
                pipe: Any = self._clients.current.pipeline(transaction=False)
                pipe.zscore(waiting, digest)
                pipe.zcard(waiting)
                pipe.zrange(slots, 0, -1)
                until_ms, count, members = pipe.execute()
            if until_ms is not None:
                return SlotWait(tuple(Slot.run_of(member.decode())[0] for member in members), int(count))
        return None

    def _slot_names(self, task: str) -> Iterator[str]:
        """Of the slots of all the task's runs together, then those of each key."""
        yield task
        before = self._keys.slots(f"{task} ")[1].removesuffix("}")
        with translated():
            servers = masters(self._clients.current)
        for server in servers:
            cursor, scans = 0, 0
            while (cursor or not scans) and scans < MAX_SCANS:
                with translated():
                    reply: Any = server.scan(cursor, match=f"{literal(before)}*", count=SCAN_COUNT)
                cursor, scans = int(reply[0]), scans + 1
                for key in reply[1]:
                    yield f"{task} {key.decode().removeprefix(before).removesuffix('}')}"
