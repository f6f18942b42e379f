"""How many runs of a task there may be at once, over all workers; the pure form of `scripts/*_slot.lua`.

Each run holds a slot, leased as its right to run is: renewed by the same heartbeat, and free again when a worker dies.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from queues.errors import InvalidOptionError
from queues.idempotency.key import explicit_digest

SHORTEST_WAIT_MS = 500
LONGEST_WAIT_MS = 300_000
MS_PER_WAITING = 50
"""One in so many ms asks for a slot, however many wait: a long backlog does not load the server."""
OVERDUE_AFTER_MS = 60_000
"""A message that has not come again so long after its time is not counted among the waiting."""


@dataclass(frozen=True, slots=True)
class Concurrency:
    """At most `limit` runs at once, over all workers and both backends.

    Args:
        per: counts the runs of each value apart: the name of a parameter, names of several, or a function of the
            arguments. None counts all runs of the task together.

    Raises:
        InvalidOptionError: a limit below 1, or a `per` that is none of these.
    """

    limit: int
    per: str | Sequence[str] | Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        if type(self.limit) is not int or self.limit < 1:
            msg = f"Concurrency({self.limit!r}): a whole number of runs, 1 or more"
            raise InvalidOptionError(msg)
        if self.per is not None and not callable(self.per) and not _are_names(self.per):
            msg = f"Concurrency(per={self.per!r}): a parameter's name, several, a function of the arguments, or None"
            raise InvalidOptionError(msg)

    @classmethod
    def declared(cls, value: "Concurrency | int | None") -> "Concurrency | None":
        """What a task's option says.

        Raises:
            InvalidOptionError: it is neither a limit nor a number of runs.
        """
        return value if value is None or isinstance(value, Concurrency) else cls(value)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that `per` names."""
        if self.per is None or callable(self.per):
            return ()
        return (self.per,) if isinstance(self.per, str) else tuple(self.per)

    def slots(self, task: str, arguments: Mapping[str, Any]) -> str:
        """The name of the slots that a call shares.

        Raises:
            UnencodableError: what `per` returned has no exact encoding.
        """
        if self.per is None:
            return task
        chosen = self.per(**arguments) if callable(self.per) else [arguments[name] for name in self.names]
        return f"{task} {explicit_digest(task, '', 'concurrency', chosen)}"


def _are_names(per: object) -> bool:
    names = [per] if isinstance(per, str) else per
    return isinstance(names, list | tuple) and bool(names) and all(isinstance(name, str) and name for name in names)


@dataclass(frozen=True, slots=True)
class Slot:
    """One run's part of a limit.

    Args:
        name: of the slots, as `Concurrency.slots` gives it.
        digest: of the work; a copy of its message is the same holder's.
        token: of the run.
    """

    name: str
    limit: int
    lease_ms: int
    digest: str
    token: int

    @property
    def member(self) -> str:
        """What stands for the run: an earlier run of the same work is another."""
        return f"{self.digest} {self.token}"

    @staticmethod
    def run_of(member: str) -> tuple[str, int]:
        """The digest and the token that a member stands for."""
        digest, _, token = member.partition(" ")
        return digest, int(token)


@dataclass(frozen=True, slots=True)
class Slots:
    """What the store holds of one name's slots.

    Args:
        ends_ms: when each run's slot ends, unless it is renewed.
        waiting_ms: until when each work that found no slot is counted.
    """

    ends_ms: Mapping[str, int] = field(default_factory=dict)
    waiting_ms: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SlotAnswer:
    """What came of asking for a slot.

    Args:
        wait_ms: 0 when the slot is taken, else after how long to ask again, not counting any jitter.
        now_ms: the store's clock.
        ended: runs whose slots have ended without being freed, where there was no other.
    """

    wait_ms: int
    now_ms: int = 0
    ended: tuple[str, ...] = ()


def take_slot(slots: Slots, slot: Slot, verified_ms: Mapping[str, int], now_ms: int) -> tuple[Slots, SlotAnswer]:
    """Give a slot, or say when to ask again.

    An ended slot is not given to another unless it was verified that its run has no lease: a standby keeps the lease
    of a run whose process cannot renew its slot.

    Args:
        verified_ms: until when runs whose slots have ended hold their leases; 0 for one that holds none.
    """
    ends = dict(slots.ends_ms)
    for member, until_ms in verified_ms.items():
        if member in ends and ends[member] <= now_ms:
            ends[member] = until_ms
            if until_ms <= now_ms:
                del ends[member]
    waiting = {digest: until for digest, until in slots.waiting_ms.items() if until > now_ms}
    if slot.member in ends or len(ends) < slot.limit:
        ends[slot.member] = now_ms + slot.lease_ms
        waiting.pop(slot.digest, None)
        return Slots(ends, waiting), SlotAnswer(0)
    waiting.setdefault(slot.digest, 0)
    wait_ms = min(max(SHORTEST_WAIT_MS, len(waiting) * MS_PER_WAITING), LONGEST_WAIT_MS)
    waiting[slot.digest] = now_ms + wait_ms + OVERDUE_AFTER_MS
    ended = tuple(sorted(member for member, end in ends.items() if end <= now_ms))
    return Slots(ends, waiting), SlotAnswer(wait_ms, now_ms, ended)


def keep_slot(slots: Slots, slot: Slot, now_ms: int) -> tuple[Slots, bool]:
    """Renew a slot; also one that has ended, unless another run was given it."""
    if slot.member not in slots.ends_ms:
        return slots, False
    return replace(slots, ends_ms={**slots.ends_ms, slot.member: now_ms + slot.lease_ms}), True
