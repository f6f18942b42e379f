"""Shows how a run goes and how it ended: a live table on a terminal, plain lines elsewhere."""

import sys
import time
from collections import Counter
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tests.chaos.faults import Fault
from tests.chaos.judge import Verdict
from tests.chaos.ledger import Phase
from tests.chaos.options import Options
from tests.chaos.schedule import Kind
from tests.chaos.tally import Tally

LINE_EVERY_S = 5.0
SHOWN = 20
SLOWEST = 3


class Screen:
    """What the person sees; a context manager.

    Args:
        is_live: draw over what was drawn before; else add a line now and then.
    """

    def __init__(self, options: Options, *, is_live: bool | None = None) -> None:
        self._options = options
        self._is_live = sys.stdout.isatty() if is_live is None else is_live
        self._console = Console(highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._said_at = 0.0
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        if self._is_live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_live:
            self._live.stop()

    def say(self, text: str) -> None:
        """Show a line that stays."""
        self._console.print(Text(text))

    def show(self, stage: str, tally: Tally, faults: list[Fault]) -> None:
        """Show how far the run is."""
        seconds = time.monotonic() - self._start
        counts = (
            f"{len(tally.acked)} tasks submitted, {len(tally.ended & tally.acked.keys())} done, {len(faults)} faults"
        )
        line = f"{seconds:5.0f} s  {stage}: {counts}"
        if self._is_live:
            kinds = Counter(fault.kind for fault in faults).most_common()
            self._live.update(Group(Text(line), *(Text(f"{count:10}  {kind}") for kind, count in kinds)))
        elif time.monotonic() - self._said_at >= LINE_EVERY_S:
            self._said_at = time.monotonic()
            self.say(line)
            sys.stdout.flush()


def report(verdict: Verdict, faults: list[Fault], tally: Tally, console: Console) -> None:
    """Print the whole report, without its last line."""
    table = Table(title="faults injected", title_justify="left", show_header=False, box=None)
    table.add_column(justify="right")
    table.add_column()
    kinds = Counter(fault.kind for fault in faults)
    for kind in Kind:
        if kinds[kind]:
            table.add_row(str(kinds[kind]), kind.value)
    table.add_row(str(len(faults)), "in all")
    console.print(table)
    rows = [
        (len(verdict.lost), "lost"),
        (len(verdict.doubled), "doubled"),
        (verdict.tasks, "tasks submitted"),
        (verdict.submissions, "submissions acknowledged, duplicates among them"),
        (tally.phases[Phase.DOUBLED], "times that copies were put on the queue past the producer"),
        (verdict.runs, "runs"),
        (len(verdict.repeated), "run twice within the guarantee"),
        (verdict.refused_writes, "fenced writes refused"),
        (verdict.refused_outcomes, "outcomes refused, of runs that had lost their lease"),
        (len(verdict.late), "unfenced effects of a running process after its lease was lost"),
        (len(verdict.recoveries), "times that a killed process's work went on elsewhere"),
        (f"{verdict.usual_recovery_s:.1f}", "s until then, usually (median)"),
        (
            f"{verdict.longest_recovery_s:.1f}",
            "s until then, at the longest, from the last fault known to have hit the work or the servers it needs",
        ),
        (f"{verdict.longest_from_kill_s:.1f}", "s until then, at the longest, from the kill"),
    ]
    results = Table(title="results", title_justify="left", show_header=False, box=None)
    results.add_column(justify="right")
    results.add_column()
    for value, text in rows:
        results.add_row(str(value), text)
    console.print(results)
    for title, found in (("LOST", verdict.lost), ("DOUBLED", verdict.doubled), ("late", verdict.late)):
        for sentence in found[:SHOWN]:
            console.print(Text(f"{title}  {sentence}"))
        if len(found) > SHOWN:
            console.print(Text(f"{title}  and {len(found) - SHOWN} more"))


def slowest(verdict: Verdict, faults: list[Fault], start_ms: float, console: Console) -> None:
    """Print which work took longest to go on, and when, for the timeline and the workers' logs.

    Args:
        start_ms: of the run, by the monotonic clock.
    """
    for each in sorted(verdict.recoveries, key=lambda recovery: recovery.seconds, reverse=True)[:SLOWEST]:
        killed_s, free_s, begun_s = ((ms - start_ms) / 1000 for ms in (each.killed_ms, each.free_ms, each.begun_ms))
        meanwhile = sum(each.killed_ms < fault.at_ms < each.begun_ms for fault in faults)
        told = f"killed at {killed_s:.1f} s, last hit at {free_s:.1f} s, began again at {begun_s:.1f} s"
        console.print(
            Text(f"slowest  {each.seconds:.1f} s: {each.name}, {each.message}; {told}; {meanwhile} faults meanwhile")
        )


def last_line(verdict: Verdict, faults: list[Fault]) -> str:
    """The one line that says it all."""
    return (
        f"chaos: {verdict.tasks} tasks, {len(faults)} faults, {len(verdict.lost)} lost, {len(verdict.doubled)} doubled,"
        f" recovery at most {verdict.longest_recovery_s:.1f} s"
    )
