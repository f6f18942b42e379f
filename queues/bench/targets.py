"""What is claimed of this library's speed, each as a ratio of two things measured in the same run."""

from collections.abc import Sequence
from dataclasses import dataclass

from queues.bench import contenders as c
from queues.bench.contenders import Contender
from queues.bench.measure import Sample, Spread, ratio


@dataclass(frozen=True, slots=True)
class Target:
    """One claim: `ours` is at least `least` times the best of `theirs`.

    Args:
        ours, theirs: scenario and contender.
    """

    what: str
    least: float
    ours: tuple[str, Contender]
    theirs: tuple[tuple[str, Contender], ...]

    def measured(self, samples: Sequence[Sample]) -> Spread | None:
        """The ratio; None when a part of it was not measured."""
        ours = (self.ours[0], self.ours[1].name)
        return ratio(samples, ours, [(scenario, contender.name) for scenario, contender in self.theirs])

    def is_missed(self, samples: Sequence[Sample]) -> bool:
        """Whether it is missed by more than the ratio's own spread."""
        spread = self.measured(samples)
        return spread is not None and spread.high < self.least


ONE, MANY, AGAIN = "enqueue one", "enqueue many", "duplicate after completion"
NOOP, INCR = "process no-op", "process INCR"
TARGETS = (
    Target("enqueue one, Celery: against delay()", 3.5, (ONE, c.ONCEQ_CELERY), ((ONE, c.CELERY),)),
    Target("enqueue one, Celery: against an EVALSHA loop", 0.8, (ONE, c.ONCEQ_CELERY), ((ONE, c.REDIS),)),
    Target("enqueue one, Dramatiq: against send()", 1.1, (ONE, c.ONCEQ_DRAMATIQ), ((ONE, c.DRAMATIQ),)),
    Target("enqueue many, Celery: against a delay() loop", 12.0, (MANY, c.ONCEQ_CELERY), ((ONE, c.CELERY),)),
    Target("enqueue many, Dramatiq: against a send() loop", 4.0, (MANY, c.ONCEQ_DRAMATIQ), ((ONE, c.DRAMATIQ),)),
    Target("a duplicate: against a GET loop", 0.8, (AGAIN, c.ONCEQ_CELERY), ((AGAIN, c.REDIS),)),
    Target("process no-op, Celery: against Celery bare", 0.95, (NOOP, c.ONCEQ_CELERY), ((NOOP, c.CELERY_NO_RESULTS),)),
    Target("process INCR, Celery: against Celery bare", 0.95, (INCR, c.ONCEQ_CELERY), ((INCR, c.CELERY_NO_RESULTS),)),
    Target("process no-op, Dramatiq: against Dramatiq bare", 1.0, (NOOP, c.ONCEQ_DRAMATIQ), ((NOOP, c.DRAMATIQ),)),
    Target("process INCR, Dramatiq: against Dramatiq bare", 1.0, (INCR, c.ONCEQ_DRAMATIQ), ((INCR, c.DRAMATIQ),)),
)
