"""How soon the work of a worker that was killed as a whole goes on: within one and a half leases.

What is measured is printed; what is asserted leaves a busy machine room, and is still far below the timeouts of the
task systems themselves: an hour (Celery on Redis), a minute and more (Dramatiq on Redis).
"""

import time

import pytest

from tests.integration.workers.conftest import Begin, StageOf
from tests.stage import eventually

LEASE_S = 6.0
TASKS = 8
WITHIN_LEASES = 1.5
SLACK_S = 8.0
PLACES = [
    ("celery", "redis"),
    ("celery threads", "redis"),
    ("dramatiq", "redis"),
    *(pytest.param(kind, "rabbitmq", marks=pytest.mark.rabbitmq) for kind in ("celery", "dramatiq")),
]


def has_ended(marks: list[tuple[str, int, int, int]]) -> bool:
    return any(mark[0] == "done" for mark in marks)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "broker"), PLACES)
def test_all_that_a_killed_worker_ran_or_had_fetched_goes_on(stage_of: StageOf, begin: Begin, name, kind, broker):
    stage = stage_of(kind, broker)
    lease = {"PROGRAM_LEASE_S": str(LEASE_S)}
    multiplier = ("--prefetch-multiplier", "2") if stage.backend == "celery" else ()
    killed = begin(stage, kind, environment=lease, arguments=multiplier)
    names = [f"{name}-{n}" for n in range(TASKS)]
    handles = [stage.program.steps.send(each, 10, 0.1) for each in names]
    eventually(lambda: sum(bool(stage.effects(each)) for each in names) >= 2)

    killed.kill()
    killed_s = time.time()
    marks = {each: stage.marks(each) for each in names}
    begin(stage, kind, environment=lease, concurrency=TASKS)
    for handle in handles:
        handle.result(timeout=WITHIN_LEASES * LEASE_S + SLACK_S)

    # One that had ended before the kill, on a machine that was busy just then, has nothing to go on with.
    unfinished = [each for each in names if not has_ended(marks[each])]
    later_s = {each: stage.marks(each)[len(marks[each])][2] / 1e6 - killed_s for each in unfinished}
    ran = max(later for each, later in later_s.items() if marks[each])
    rest = max(later for each, later in later_s.items() if not marks[each])
    took = f"what it ran began again within {ran:.2f} s, all the rest within {rest:.2f} s"
    print(f"\n{kind} on {broker}: lease {LEASE_S} s; after the kill, {took}: {max(ran, rest) / LEASE_S:.2f} leases")
    assert max(ran, rest) < WITHIN_LEASES * LEASE_S + SLACK_S
