"""Priorities, the same on every backend and broker."""

import pytest

from queues import Call, Priority, errors
from tests.stage import Stage, eventually

BACKLOG = 1_000
AT_ONCE = 4
FETCHED_BEFORE = 30
"""What a worker of four threads or processes may have begun or fetched when the gate opens: at most three each."""


def pass_gate(stage: Stage, gate: str, priorities: dict[int, int], within_s: float = 60) -> list[int]:
    """The numbers in the order in which they passed, each sent with its priority, all before the gate was opened."""
    stage.program.passes.send_many([Call((gate, number), priority=p) for number, p in priorities.items()])
    stage.ledger.set(f"program:gate:{gate}", "open", ex=600)
    eventually(lambda: len(stage.effects(gate)) >= len(priorities), within_s=within_s)
    return [int(number) for number in stage.effects(gate)]


def test_a_high_task_overtakes_a_backlog_of_a_thousand(stage: Stage, name: str):
    low = dict.fromkeys(range(BACKLOG), int(Priority.LOW))

    passed = pass_gate(stage, name, {**low, BACKLOG: Priority.HIGH}, within_s=240)

    assert sorted(passed) == list(range(BACKLOG + 1))
    assert passed.index(BACKLOG) <= FETCHED_BEFORE


def test_a_low_task_lets_those_pass_that_come_later(stage: Stage, name: str):
    normal = dict.fromkeys(range(1, 61), int(Priority.NORMAL))
    blocking = dict.fromkeys(range(100, 100 + FETCHED_BEFORE), int(Priority.NORMAL))

    passed = pass_gate(stage, name, {**blocking, 0: Priority.LOW, **normal})

    assert passed.index(0) >= len(passed) - AT_ONCE


@pytest.mark.parametrize("priority", [-1, 10, True, "high", 4.5, None], ids=repr)
def test_a_priority_that_is_none_is_refused(stage: Stage, priority: object):
    with pytest.raises(errors.InvalidOptionError):
        stage.program.tasks.task(name=f"program.bad-{priority!r}", priority=priority)(lambda: None)
    if priority is not None:
        with pytest.raises(errors.InvalidOptionError, match=r"Priority\.LOW, NORMAL or HIGH"):
            stage.program.echo.send_with_options(("x", 1), priority=priority)
