"""What a run came to, for a terminal and for a program."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from queues.bench.measure import Sample, Spread, values_of
from queues.bench.targets import TARGETS

VERSION = 1


def tables(samples: Sequence[Sample], console: Console) -> None:
    """Print each scenario, the best first, and then the targets."""
    for scenario in dict.fromkeys(sample.scenario for sample in samples):
        console.print(_scenario(samples, scenario))
    console.print(_targets(samples))


def document(samples: Sequence[Sample], machine: Mapping[str, str]) -> str:
    """The run as JSON: every sample, the machine, and the targets."""
    targets = [
        {"what": target.what, "least": target.least, "ratio": asdict(spread), "is_missed": target.is_missed(samples)}
        for target in TARGETS
        if (spread := target.measured(samples)) is not None
    ]
    content: dict[str, Any] = {
        "version": VERSION,
        "machine": dict(machine),
        "samples": [asdict(sample) for sample in samples],
        "targets": targets,
    }
    return json.dumps(content, indent=1)


def missed(samples: Sequence[Sample]) -> list[str]:
    """The targets that were missed by more than their spread."""
    return [target.what for target in TARGETS if target.is_missed(samples)]


def _scenario(samples: Sequence[Sample], scenario: str) -> Table:
    table = Table(title=scenario, title_justify="left")
    for column in ("", "a second", "quarter to quarter", "client ms", "worker ms", "server ms"):
        table.add_column(column, justify="left" if not column else "right")
    names = dict.fromkeys(sample.contender for sample in samples if sample.scenario == scenario)
    spreads = {name: Spread.of([*values_of(samples, scenario, name).values()]) for name in names}
    for name, spread in sorted(spreads.items(), key=lambda pair: -pair[1].median):
        own = [sample for sample in samples if (sample.scenario, sample.contender) == (scenario, name)]
        done = sum(sample.count for sample in own)
        costs = [sum(getattr(sample, f"{who}_cpu_s") for sample in own) for who in ("client", "worker", "server")]
        cells = [f"{1000 * cost / done:.3f}" if cost else "" for cost in costs]
        table.add_row(name, f"{spread.median:,.0f}", f"{spread.low:,.0f} - {spread.high:,.0f}", *cells)
    table.caption = "ms: of CPU, a task"
    return table


def _targets(samples: Sequence[Sample]) -> Table:
    table = Table(title="targets", title_justify="left")
    for column in ("", "ratio", "quarter to quarter", "at least", ""):
        table.add_column(column, justify="left" if not column else "right")
    for target in TARGETS:
        spread = target.measured(samples)
        if spread is not None:
            verdict = "missed" if target.is_missed(samples) else "held"
            cells = [f"{spread.median:.2f}", f"{spread.low:.2f} - {spread.high:.2f}", f"{target.least:g}"]
            table.add_row(target.what, *cells, verdict)
    return table
