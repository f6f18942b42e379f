"""A run beside an older one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from queues.bench.measure import RATE, Results, Sample, Spread, values_of
from queues.errors import InvalidOptionError


@dataclass(frozen=True, slots=True)
class Change:
    """What one contender did in one scenario, then and now."""

    scenario: str
    contender: str
    unit: str
    old: Spread
    new: Spread

    @property
    def times(self) -> float:
        """How many times as good it is now."""
        better = self.new.median / self.old.median
        return better if self.unit == RATE else 1 / better

    @property
    def is_worse(self) -> bool:
        """Whether even its better quarter now does not reach the worse quarter of then."""
        return self.new.high < self.old.low if self.unit == RATE else self.new.low > self.old.high


def read(path: str) -> Results:
    """A run that was kept.

    Raises:
        InvalidOptionError: the file is not such a run.
    """
    try:
        document = json.loads(Path(path).read_text("utf-8"))
        samples = [
            Sample(**{**fields, "points": tuple(tuple(point) for point in fields.get("points", ()))})
            for fields in document["samples"]
        ]
        machine = {str(name): str(value) for name, value in document["machine"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        msg = f"{path} is no run that `queues bench --keep` wrote: {exc}"
        raise InvalidOptionError(msg) from exc
    return Results(samples, machine, command=str(document.get("command", "")), date=str(document.get("date", "")))


def changes(old: Sequence[Sample], new: Sequence[Sample]) -> list[Change]:
    """What both runs measured."""
    found = []
    for scenario, contender, unit in dict.fromkeys((s.scenario, s.contender, s.unit) for s in new):
        before, now = (values_of(samples, scenario, contender) for samples in (old, new))
        if before and now and min(*before.values(), *now.values(), 1.0) > 0:
            spreads = (Spread.of([*values.values()]) for values in (before, now))
            found.append(Change(scenario, contender, unit, *spreads))
    return found


def table(old: Results, new: Results) -> Table:
    """Both runs side by side; the caption says what differs between the machines."""
    made = Table(title="against the older run", title_justify="left")
    for column in ("", "", "then", "now", "times as good", ""):
        made.add_column(column, justify="right" if column else "left")
    for change in changes(old.samples, new.samples):
        medians = [f"{spread.median:,.4g} {change.unit}" for spread in (change.old, change.new)]
        verdict = "worse" if change.is_worse else ""
        made.add_row(change.scenario, change.contender, *medians, f"{change.times:.2f}", verdict)
    then, now = old.machine, new.machine
    differing = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    made.caption = "\n".join(f"{name}: {then.get(name)} then, {now.get(name)} now" for name in differing)
    return made
