"""The model: a protocol between producers, a broker that delivers at least once, and two workers that may die.

The record's transitions are the engine's own `machine.apply`. What the producer, the executor, the guard, the
heartbeat and recovery do around them is stated here again, step by step, and must be kept like them by hand.

What is simplified:
- Only the task, a pause and a late delivery let time pass; every other step takes none. A slow step is a pause.
- A running worker that is not paused renews its lease at each tick.
- What is published is not lost in silence, but for what the record can publish again: an admitted message, a retry,
  a helped one. A deferred copy is published until the broker takes it.
- Recovery looks before a live record expires, except where a setup is unattended.
- Left out: fingerprints, priorities, `lossy`, `fail_open`, cached failures, and what a producer does with duplicates
  other than `join`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from queues.idempotency.machine import CANCELLED_OUTCOME, DEAD_OUTCOME, EXPIRED_OUTCOME
from queues.idempotency.state import Admit, Answer, Begin, Operation
from tests.model.records import NOW_MS, Records, canonical
from tests.model.setup import Protocol, Setup
from tests.model.world import (
    ACCEPTED,
    FINAL,
    IDLE,
    OVERWRITTEN,
    SETTLED,
    Copy,
    Lease,
    Producer,
    Step,
    Worker,
    World,
    put,
)

WORKERS = 2
SAME_COPIES = 2
"""Of copies that differ in nothing only so many are kept: two workers cannot hold more."""
OUTCOMES = {
    b"ok": "ok",
    b"failed": "failed",
    b"cancelled": "cancelled",
    CANCELLED_OUTCOME: "cancelled",
    DEAD_OUTCOME: "dead",
    EXPIRED_OUTCOME: "expired",
}


@dataclass(slots=True)
class Model:
    """What the parts of the model share: the setup, the protocol, and how a store or a queue changes."""

    setup: Setup
    protocol: Protocol
    records: Records = field(init=False)
    keys: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.records = Records(self.protocol.apply)
        self.keys = self.setup.keys

    def first(self) -> World:
        """Before anything was sent."""
        count, keys = len(self.keys), len(set(self.keys))
        return World(
            records=(0,) * keys,
            leases=(Lease(),) * keys,
            queue=(),
            workers=(IDLE,) * WORKERS,
            producers=(Producer(),) * count,
            flags=(0,) * count,
            faults=self.setup.faults,
            cancels=self.setup.cancels,
            begin_within=self.setup.expires,
        )

    def begin_by(self, world: World) -> int:
        """What messages say of the time by which they must begin."""
        return NOW_MS + world.begin_within if self.setup.expires else 0

    def is_linked(self, message: int) -> bool:
        """Whether the message is published and answered whatever the record says."""
        return self.setup.messages[message].is_linked

    def ask(self, world: World, key: int, operation: Operation) -> tuple[World, Answer, tuple[str, ...]]:
        """The world after an operation of the store, its answer, and what that broke."""
        number = world.records[key]
        after_number, answer = self.records.apply(number, operation)
        if after_number == number:
            return world, answer, ()
        before, after = self.records[number], self.records[after_number]
        broken: tuple[str, ...] = ()
        if before is not None and before.state in FINAL:
            # A failure that is not cached stands until something else is sent.
            is_asked_again = isinstance(operation, Admit | Begin) and operation.message_id != before.owner
            if not (OUTCOMES[before.outcome] in ("failed", "cancelled", "expired") and is_asked_again):
                broken = (OVERWRITTEN,)
        flags = world.flags
        if after is not None and after.state in FINAL:
            flags = tuple(
                flag | SETTLED if flag & ACCEPTED and self.keys[message] == key else flag
                for message, flag in enumerate(flags)
            )
        return world._replace(records=put(world.records, key, after_number), flags=flags), answer, broken

    def flagged(self, world: World, message: int, flag: int) -> World:
        """The world where the message has the flag too."""
        return world._replace(flags=put(world.flags, message, world.flags[message] | flag))

    def published(self, world: World, message: int, retries: int, due: int = 0) -> World:
        """The world with one more copy in the queue."""
        copy = Copy(due, message, retries)
        if world.queue.count(copy) >= SAME_COPIES:
            return world
        return world._replace(queue=tuple(sorted((*world.queue, copy))))

    def with_worker(self, world: World, index: int, worker: Worker) -> World:
        """The world where a worker has done something."""
        return world._replace(workers=put(world.workers, index, worker))

    def tidied(self, steps: Iterator[Step]) -> list[Step]:
        """The steps, each into a state in its one form."""
        return [
            Step(step.kind, step.label, canonical(step.world, self.records, self.keys), step.broken) for step in steps
        ]


def payload(message: int, retries: int) -> bytes:
    """The message as the record keeps it."""
    return b"%d:%d" % (message, retries)


def unpacked(data: bytes) -> tuple[int, int]:
    """The message and its retries."""
    message, _, retries = data.partition(b":")
    return int(message), int(retries)
