"""What is claimed of this library's speed, each as a ratio of two things measured in the same run, or as a figure."""

from collections.abc import Sequence
from dataclasses import dataclass

from queues.bench import contenders as c
from queues.bench.contenders import DECISION, RECORD, RECOVERY, Contender
from queues.bench.measure import Sample, Spread, ratio, values_of

Measured = tuple[str, Contender]


@dataclass(frozen=True, slots=True)
class Target:
    """One claim: the best of `ours` is at least, or at most, `bound` times the best of `theirs`.

    Args:
        bound: of the ratio; of the figure itself when there is nothing to compare with.
        ours, theirs: scenario and contender.
        is_at_most: less is better.
        unit: of the figure; `times` for a ratio.
    """

    what: str
    bound: float
    ours: tuple[Measured, ...]
    theirs: tuple[Measured, ...] = ()
    is_at_most: bool = False
    unit: str = "times"

    def measured(self, samples: Sequence[Sample]) -> Spread | None:
        """The ratio, or the figure; None when a part of it was not measured."""
        ours = [(scenario, contender.name) for scenario, contender in self.ours]
        if not self.theirs:
            values = values_of(samples, *ours[0])
            return Spread.of([*values.values()]) if values else None
        theirs = [(scenario, contender.name) for scenario, contender in self.theirs]
        return ratio(samples, ours, theirs, inverted=self.is_at_most)

    def is_missed(self, samples: Sequence[Sample]) -> bool:
        """Whether it is missed by more than its own spread."""
        spread = self.measured(samples)
        if spread is None:
            return False
        return spread.low > self.bound if self.is_at_most else spread.high < self.bound

    def verdict(self, samples: Sequence[Sample]) -> str:
        """`held`, `missed`, or `close`: missed by no more than its own spread."""
        spread = self.measured(samples)
        if spread is None:
            return ""
        if self.is_missed(samples):
            return "missed"
        is_held = spread.median <= self.bound if self.is_at_most else spread.median >= self.bound
        return "held" if is_held else "close"

    @property
    def asked(self) -> str:
        """What is claimed, in words."""
        return f"at {'most' if self.is_at_most else 'least'} {self.bound:g}{f' {self.unit}' * (self.unit != 'times')}"


def needed(targets: Sequence[Target]) -> dict[str, frozenset[str]]:
    """By scenario, the contenders that the targets compare, or pictures show."""
    found = {scenario: set(names) for scenario, names in ILLUSTRATED.items()}
    for target in targets:
        for scenario, contender in (*target.ours, *target.theirs):
            found.setdefault(scenario, set()).add(contender.name)
    return {scenario: frozenset(names) for scenario, names in found.items()}


ONE, MANY = "enqueue one", "enqueue many"
DURING, AFTER = "duplicate while running", "duplicate after completion"
NOOP, INCR = "process no-op", "process INCR"
LATENCY = "latency at 50 % of capacity"
ILLUSTRATED = {
    DURING: frozenset({c.ONCEQ_CELERY.name, c.ONCEQ_DRAMATIQ.name}),
    LATENCY: frozenset({c.CELERY_NO_RESULTS.name, c.DRAMATIQ.name, c.ONCEQ_CELERY.name, c.ONCEQ_DRAMATIQ.name}),
}
"""What no target is about, and a run of the targets measures all the same, for its pictures."""

BEST = (c.ONCEQ_CELERY, c.ONCEQ_CELERY_THREADS, c.ONCEQ_DRAMATIQ, c.ONCEQ_DRAMATIQ_SHORT)


def _all(scenario: str, contenders: Sequence[Contender]) -> tuple[Measured, ...]:
    return tuple((scenario, contender) for contender in contenders)


def _over(scenario: str, ours: Contender, theirs: Contender) -> tuple[tuple[Measured, ...], tuple[Measured, ...]]:
    return ((scenario, ours),), ((scenario, theirs),)


TARGETS = (
    Target("enqueue one, Celery: against delay()", 3.5, *_over(ONE, c.ONCEQ_CELERY, c.CELERY)),
    Target("enqueue one, Celery: against an EVALSHA loop", 0.8, *_over(ONE, c.ONCEQ_CELERY, c.REDIS)),
    Target("enqueue one, Dramatiq: against send()", 1.1, *_over(ONE, c.ONCEQ_DRAMATIQ, c.DRAMATIQ)),
    Target("enqueue many, Celery: against a delay() loop", 12.0, ((MANY, c.ONCEQ_CELERY),), ((ONE, c.CELERY),)),
    Target("enqueue many, Dramatiq: against a send() loop", 4.0, ((MANY, c.ONCEQ_DRAMATIQ),), ((ONE, c.DRAMATIQ),)),
    Target("enqueue many: against the best peer", 3.0, _all(MANY, BEST), _all(MANY, c.PEERS) + _all(ONE, c.PEERS)),
    Target(
        "a duplicate: against celery-once and celery-singleton",
        2.0,
        ((AFTER, c.ONCEQ_CELERY),),
        _all(DURING, (c.CELERY_ONCE, c.CELERY_SINGLETON)),
    ),
    Target("a duplicate: against a GET loop", 0.8, *_over(AFTER, c.ONCEQ_CELERY, c.REDIS)),
    Target("process no-op, Celery: against Celery bare", 0.95, *_over(NOOP, c.ONCEQ_CELERY, c.CELERY_NO_RESULTS)),
    Target("process INCR, Celery: against Celery bare", 0.95, *_over(INCR, c.ONCEQ_CELERY, c.CELERY_NO_RESULTS)),
    Target("process no-op, Dramatiq: against Dramatiq bare", 1.0, *_over(NOOP, c.ONCEQ_DRAMATIQ, c.DRAMATIQ)),
    Target("process INCR, Dramatiq: against Dramatiq bare", 1.0, *_over(INCR, c.ONCEQ_DRAMATIQ, c.DRAMATIQ)),
    Target("process no-op: our best against the best peer", 1.0, _all(NOOP, BEST), _all(NOOP, c.PEERS)),
    Target("process INCR: our best against the best peer", 1.0, _all(INCR, BEST), _all(INCR, c.PEERS)),
    Target("a completed record", 250.0, ((RECORD, c.RECORDER),), is_at_most=True, unit="bytes"),
    Target(
        "one decision, with a million records against a thousand",
        1.2,
        *_over(DECISION, c.DECIDERS[-1], c.DECIDERS[0]),
        is_at_most=True,
    ),
    *(
        Target(f"recovery, {c_.settings['BENCH_BACKEND']}", 1.5, ((RECOVERY, c_),), is_at_most=True, unit="leases")
        for c_ in c.RECOVERERS
    ),
)
