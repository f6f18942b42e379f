"""What a run came to, for a terminal and for a program."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from queues.bench.measure import RATE, Results, Sample, Spread, values_of
from queues.bench.targets import Target

VERSION = 2
ONE_ROUND = "one round of each: that checks the work, and says little of the time"
CLOSE = "close: missed by no more than its spread"


def tables(results: Results, targets: Sequence[Target], console: Console) -> None:
    """Print each scenario, the best first, then the targets, the machine, and what is invalid."""
    samples = results.samples
    for scenario in dict.fromkeys(sample.scenario for sample in samples):
        console.print(_scenario(samples, scenario))
    if any(target.measured(samples) is not None for target in targets):
        console.print(_targets(samples, targets))
    console.print(*(f"{name}: {value}" for name, value in results.machine.items()), sep="; ", markup=False)
    if rounds_of(samples) == 1:
        console.print(ONE_ROUND)
    for text in results.invalid:
        console.print(f"invalid: {text}", style="bold red", markup=False)


def document(results: Results, targets: Sequence[Target]) -> str:
    """The run as JSON: every sample, the machine, the targets, and what says nothing."""
    judged = [
        {
            "what": target.what,
            "bound": target.bound,
            "is_at_most": target.is_at_most,
            "unit": target.unit,
            "measured": asdict(spread),
            "is_missed": target.is_missed(results.samples),
        }
        for target in targets
        if (spread := target.measured(results.samples)) is not None
    ]
    content: dict[str, Any] = {
        "version": VERSION,
        "command": results.command,
        "date": results.date,
        "machine": dict(results.machine),
        "invalid": list(results.invalid),
        "samples": [asdict(sample) for sample in results.samples],
        "targets": judged,
    }
    return json.dumps(content, indent=1)


def markdown(results: Results, targets: Sequence[Target]) -> str:
    """The targets as a table for a README, with the machine below it."""
    lines = ["| | measured | quarter to quarter | target | |", "|---|---|---|---|---|"]
    for target in targets:
        spread = target.measured(results.samples)
        if spread is not None:
            verdict = target.verdict(results.samples).replace("missed", "**missed**")
            quarters = f"{shown(spread.low)} - {shown(spread.high)}"
            lines.append(f"| {target.what} | {shown(spread.median)} | {quarters} | {target.asked} | {verdict} |")
    told = "; ".join(f"{name}: {value}" for name, value in results.machine.items())
    return "\n".join([*lines, "", f"{told}.", ""])


def missed(samples: Sequence[Sample], targets: Sequence[Target]) -> list[str]:
    """The targets that were missed by more than their spread."""
    return [target.what for target in targets if target.is_missed(samples)]


def ranked(samples: Sequence[Sample], scenario: str) -> list[tuple[str, Spread]]:
    """The contenders of a scenario, the best first."""
    names = dict.fromkeys(sample.contender for sample in samples if sample.scenario == scenario)
    spreads = [(name, Spread.of([*values_of(samples, scenario, name).values()])) for name in names]
    return sorted(spreads, key=lambda pair: pair[1].median, reverse=unit_of(samples, scenario) == RATE)


def unit_of(samples: Sequence[Sample], scenario: str) -> str:
    """In what a scenario is measured."""
    return next(sample.unit for sample in samples if sample.scenario == scenario)


def rounds_of(samples: Sequence[Sample]) -> int:
    """How many rounds were measured."""
    return len({sample.round for sample in samples})


def shown(value: float) -> str:
    """Enough of a number: three digits at least, none that mean nothing."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def unmeasured(samples: Sequence[Sample], targets: Sequence[Target]) -> list[str]:
    """The targets of which a part is missing."""
    return [target.what for target in targets if target.measured(samples) is None]


def _scenario(samples: Sequence[Sample], scenario: str) -> Table:
    table = Table(title=scenario, title_justify="left")
    for column in ("", unit_of(samples, scenario), "quarter to quarter", "client ms", "worker ms", "server ms"):
        table.add_column(column, justify="right" if column else "left")
    for name, spread in ranked(samples, scenario):
        own = [sample for sample in samples if (sample.scenario, sample.contender) == (scenario, name)]
        done = sum(sample.count for sample in own)
        costs = [sum(getattr(sample, f"{who}_cpu_s") for sample in own) for who in ("client", "worker", "server")]
        cells = [f"{1000 * cost / done:.3f}" if cost else "" for cost in costs]
        table.add_row(name, shown(spread.median), f"{shown(spread.low)} - {shown(spread.high)}", *cells)
    table.caption = "ms: of CPU, a task"
    return table


def _targets(samples: Sequence[Sample], targets: Sequence[Target]) -> Table:
    table = Table(title="targets", title_justify="left", caption=CLOSE)
    for column in ("", "measured", "quarter to quarter", "target", ""):
        table.add_column(column, justify="right" if column else "left")
    for target in targets:
        spread = target.measured(samples)
        if spread is not None:
            cells = [shown(spread.median), f"{shown(spread.low)} - {shown(spread.high)}", target.asked]
            table.add_row(target.what, *cells, target.verdict(samples))
    return table
