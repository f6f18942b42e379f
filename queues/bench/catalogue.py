"""The scenarios, by name."""

from collections.abc import Callable

from queues.bench import targets
from queues.bench.contenders import DECISION, RECORD, RECOVERY
from queues.bench.scenario import Scenario
from queues.bench.scenarios.bursting import Bursting
from queues.bench.scenarios.joining import Join
from queues.bench.scenarios.latency import Latency
from queues.bench.scenarios.processing import Processing
from queues.bench.scenarios.records import Decision, Record
from queues.bench.scenarios.recovering import Recovering
from queues.bench.scenarios.repeating import Repeating
from queues.bench.scenarios.sending import Sending
from queues.bench.scenarios.workers import Memory, StartUp

QUICK = 0.1
"""The part of a round's work that a quick run does."""
SHARES = (0.1, 0.5, 0.9)


def catalogue(part: float = 1.0) -> dict[str, Scenario]:
    """Every scenario.

    Args:
        part: of a round's work. With less than 1 the work is checked, and the figures say little.
    """

    def some(count: int) -> int:
        return max(100, round(count * part))

    made: dict[str, Callable[[str], Scenario]] = {
        targets.ONE: lambda name: Sending(name, "send", some(2_000)),
        targets.MANY: lambda name: Sending(name, "send_many", some(10_000)),
        targets.DURING: lambda name: Repeating(name, some(2_000), is_done=False),
        targets.AFTER: lambda name: Repeating(name, some(2_000), is_done=True),
        targets.NOOP: lambda name: Processing(name, "noop", some(2_000)),
        targets.INCR: lambda name: Processing(name, "incr", some(2_000)),
        "process 1 ms of CPU": lambda name: Processing(name, "cpu", some(1_500)),
        "process 10 ms of sleep": lambda name: Processing(name, "sleep", some(500)),
        "process 100 KB of arguments": lambda name: Processing(name, "large", some(500)),
        "50 % duplicates": lambda name: Bursting(name, some(1_500), is_twice=True),
        "burst of 10,000 and drain": lambda name: Bursting(name, some(10_000)),
        "fan-out and join of 1,000": lambda name: Join(name, some(1_000)),
    }
    for share in SHARES:
        made[f"latency at {share:.0%} of capacity".replace("%", " %")] = _latency(share, some(2_000), 2.0 * part)
    made |= {
        "start-up of a worker": StartUp,
        "memory of a worker": Memory,
        RECORD: lambda name: Record(name, some(100_000)),
        DECISION: lambda name: Decision(name, some(1_000)),
        RECOVERY: Recovering,
    }
    return {name: make(name) for name, make in made.items()}


def _latency(share: float, count: int, seconds: float) -> Callable[[str], Scenario]:
    return lambda name: Latency(name, share, count, seconds)
