"""Samples of one run, and what they come to."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RATE = "a second"
"""The one unit of which more is better."""

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """What one contender did in one round of one scenario.

    Args:
        value: in `unit`.
        count: how many tasks it was.
        client_cpu_s: of the process that sent.
        worker_cpu_s, server_cpu_s: of the worker's processes, and of Redis.
        unit: of the value; of any but `RATE`, less is better.
        points: a curve: share of the tasks and ms of latency, or seconds and tasks done.
    """

    scenario: str
    contender: str
    round: int
    value: float
    count: int
    client_cpu_s: float = 0.0
    worker_cpu_s: float = 0.0
    server_cpu_s: float = 0.0
    unit: str = RATE
    points: Points = ()


@dataclass(frozen=True, slots=True)
class Results:
    """What a run came to.

    Args:
        machine: what it is, and the versions.
        invalid: what says nothing, because work was lost or done twice.
        command: that made it; empty when it is not known.
        date: of its end, as 2026-11-30.
    """

    samples: Sequence[Sample]
    machine: Mapping[str, str]
    invalid: Sequence[str] = ()
    command: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and the quarter of the values below and above it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


def values_of(samples: Sequence[Sample], scenario: str, contender: str) -> dict[int, float]:
    """Value by round."""
    return {s.round: s.value for s in samples if (s.scenario, s.contender) == (scenario, contender)}


def ratio(
    samples: Sequence[Sample],
    ours: Sequence[tuple[str, str]],
    theirs: Sequence[tuple[str, str]],
    *,
    inverted: bool = False,
) -> Spread | None:
    """How many times the best of the others our best is, by round; None when there is none on one side.

    Args:
        ours, theirs: scenario and contender. Those that were not measured do not count.
        inverted: less is better: the best is the least.
    """
    best = min if inverted else max
    sides = [[values for pair in side if (values := values_of(samples, *pair))] for side in (ours, theirs)]
    if not all(sides):
        return None
    rounds = set.intersection(*(set(values) for side in sides for values in side))
    if not rounds:
        return None
    mine, others = ({number: best(v[number] for v in side) for number in rounds} for side in sides)
    return Spread.of([mine[number] / others[number] for number in sorted(rounds)])
