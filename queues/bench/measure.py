"""Samples of one run, and what they come to."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """What one contender did in one round of one scenario.

    Args:
        value: in the scenario's unit.
        count: how many tasks it was.
        client_cpu_s: of the process that sent.
        worker_cpu_s, server_cpu_s: of the worker's processes, and of Redis.
    """

    scenario: str
    contender: str
    round: int
    value: float
    count: int
    client_cpu_s: float = 0.0
    worker_cpu_s: float = 0.0
    server_cpu_s: float = 0.0


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
    samples: Sequence[Sample], ours: tuple[str, str], theirs: Sequence[tuple[str, str]], *, inverted: bool = False
) -> Spread | None:
    """How many times the best of the others, each pair of values from the same round; None when one was not measured.

    Args:
        ours, theirs: scenario and contender.
        inverted: less is better: the best of the others is the least.
    """
    mine = values_of(samples, *ours)
    others = [values for pair in theirs if (values := values_of(samples, *pair))]
    rounds = set(mine).intersection(*others) if others else set()
    if not rounds:
        return None
    best = min if inverted else max
    return Spread.of([mine[number] / best(values[number] for values in others) for number in sorted(rounds)])
