"""The scenarios, by name."""

from collections.abc import Callable

from queues.bench import targets
from queues.bench.scenario import Scenario
from queues.bench.scenarios.processing import Processing
from queues.bench.scenarios.sending import Sending

QUICK = 0.2
"""The part of a round's work that a quick run does."""


def catalogue(*, is_quick: bool = False) -> dict[str, Scenario]:
    """Every scenario.

    Args:
        is_quick: rounds are short: their work is checked, their figures say little.
    """

    def some(count: int) -> int:
        return max(100, round(count * (QUICK if is_quick else 1)))

    made: dict[str, Callable[[str], Scenario]] = {
        targets.ONE: lambda name: Sending(name, "send", some(2_000)),
        targets.MANY: lambda name: Sending(name, "send_many", some(10_000)),
        targets.AGAIN: lambda name: Sending(name, "repeat", some(2_000)),
        targets.NOOP: lambda name: Processing(name, "noop", some(3_000)),
        targets.INCR: lambda name: Processing(name, "incr", some(3_000)),
        "process 1 ms of CPU": lambda name: Processing(name, "cpu", some(1_500)),
        "process 10 ms of sleep": lambda name: Processing(name, "sleep", some(500)),
        "process 100 KB of arguments": lambda name: Processing(name, "large", some(500)),
    }
    return {name: make(name) for name, make in made.items()}
