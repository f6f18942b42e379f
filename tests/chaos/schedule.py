"""Which fault comes when: a list that follows from the seed."""

import random
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """A kind of fault, in the words of the report."""

    CHILD_KILLED = "worker child killed"
    WORKER_KILLED = "worker killed"
    CHILD_PAUSED = "worker child paused"
    WORKER_PAUSED = "worker paused"
    STORE_RESTARTED = "Valkey restarted"
    STORE_KILLED = "Valkey killed"
    BROKER_RESTARTED = "RabbitMQ restarted"
    BROKER_KILLED = "RabbitMQ killed"
    DROPPED = "connections dropped"
    REFUSED = "connections refused"
    SLOW = "connections slow"
    HALF_CLOSED = "connections half-closed"
    HELD = "network parted"
    REPLY_LOST = "replies lost"
    CLOCK_STEPPED = "clock stepped"
    PRODUCER_KILLED = "producer killed"
    PRODUCER_DIED = "producer died between admit and publish"
    """Not planned: a producer does it to itself, by chance."""


WEIGHTS = {
    Kind.CHILD_KILLED: 26,
    Kind.WORKER_KILLED: 7,
    Kind.CHILD_PAUSED: 20,
    Kind.WORKER_PAUSED: 7,
    Kind.STORE_RESTARTED: 5,
    Kind.STORE_KILLED: 7,
    Kind.DROPPED: 40,
    Kind.REFUSED: 12,
    Kind.SLOW: 22,
    Kind.HALF_CLOSED: 30,
    Kind.HELD: 12,
    Kind.REPLY_LOST: 30,
    Kind.CLOCK_STEPPED: 14,
    Kind.PRODUCER_KILLED: 6,
}
"""How many of each come to about 240, the faults of three minutes."""
BROKER_FAULTS = 4.0
"""Of a whole three minutes with RabbitMQ, whose node takes ten seconds to start."""
PER_SECOND = 1.35
CALM_S = 2.0
"""No fault before this, so that the first tasks run as they would in peace."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault that is to be injected.

    Args:
        at_s: since the start.
        choice: 0 to 1; chooses among the targets that exist then.
        seconds: how long it lasts; 0 for a kind that has no length.
        size: 0 to 1; how hard it hits, where that can differ.
    """

    at_s: float
    kind: Kind
    choice: float
    seconds: float
    size: float


def plan(
    seed: int, seconds: float, lease_s: float, *, has_rabbit: bool, per_second: float = PER_SECOND
) -> list[Planned]:
    """The faults of a run, in order of time.

    Args:
        seconds: the length of the part of the run in which faults are injected.
        lease_s: a pause or a parted network lasts longer than this.
    """
    chance = random.Random(f"faults {seed}")
    count = round(max(0.0, seconds - CALM_S) * per_second)
    weights: dict[Kind, float] = dict(WEIGHTS)
    if has_rabbit:
        weights[Kind.BROKER_RESTARTED] = weights[Kind.BROKER_KILLED] = BROKER_FAULTS / 2
    kinds = chance.choices([*weights], weights=[*weights.values()], k=count)
    times = sorted(chance.uniform(CALM_S, seconds) for _ in range(count))
    return [_planned(chance, at_s, kind, lease_s) for at_s, kind in zip(times, kinds, strict=True)]


def _planned(chance: random.Random, at_s: float, kind: Kind, lease_s: float) -> Planned:
    match kind:
        case Kind.CHILD_PAUSED | Kind.WORKER_PAUSED | Kind.HELD:
            seconds = lease_s * chance.uniform(1.1, 2.5)
        case Kind.WORKER_KILLED | Kind.PRODUCER_KILLED:
            seconds = chance.uniform(0.2, 2.0)
        case Kind.STORE_KILLED | Kind.STORE_RESTARTED:
            # Mostly short; now and then longer than a lease.
            seconds = chance.choice([0.1, 0.3, 0.8, lease_s * 1.2])
        case Kind.REFUSED:
            seconds = chance.uniform(0.3, lease_s * 1.2)
        case Kind.SLOW:
            seconds = chance.uniform(1.0, 4.0)
        case _:
            seconds = 0.0
    return Planned(at_s, kind, chance.random(), seconds, chance.random())
