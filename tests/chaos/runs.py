"""The runs of tasks, put together from the ledger's lines."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.chaos.ledger import Line, Phase


@dataclass(slots=True)
class Run:
    """One run of a task, as the ledger shows it; times by the monotonic clock, None where it did not come so far."""

    name: str
    message: str
    token: int
    pid: int
    begun_ms: float
    effect_ms: float | None = None
    ended_ms: float | None = None
    raised_ms: float | None = None
    was_refused: bool = False

    @property
    def left_ms(self) -> float | None:
        """When it left the task's function; None when its process ended before."""
        return self.ended_ms if self.ended_ms is not None else self.raised_ms


def runs_of(lines: Iterable[Line]) -> list[Run]:
    """The runs of the ledger, in order of their begin."""
    runs: list[Run] = []
    open_runs: dict[tuple[str, int, int], Run] = {}
    for line in sorted(lines, key=lambda line: line.mono_ms):
        place = (line.name, line.token, line.pid)
        if line.phase is Phase.BEGIN:
            open_runs[place] = Run(line.name, line.message, line.token, line.pid, line.mono_ms)
            runs.append(open_runs[place])
        elif line.phase is Phase.EFFECT:
            open_runs[place].effect_ms = line.mono_ms
        elif line.phase is Phase.REFUSED:
            open_runs[place].was_refused = True
        elif line.phase is Phase.END:
            open_runs[place].ended_ms = line.mono_ms
        elif line.phase is Phase.RAISED:
            open_runs[place].raised_ms = line.mono_ms
    return runs
