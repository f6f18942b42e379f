"""`python -m tests.model [--deep] [--only TEXT]`: what holds, what breaks, and the shortest way to break it."""

import argparse
import sys
import time

from tests.model.explorer import Verdicts, verdicts
from tests.model.model import Model
from tests.model.rows import BROKEN, KEPT, LIMITS, Row
from tests.model.world import PROPERTIES

GROUPS = (
    ("The protocol as the code is", KEPT),
    ("What it does not promise", LIMITS),
    ("Controls: the explorer must break each", BROKEN),
)
LAYOUT = "{:<41}  {:<53}  {:>7}  {:<31}  {:<8} {:>5}"


def main() -> int:
    """Print the table and the traces; 1 when a verdict is not the expected one."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--deep", action="store_true", help="also what takes longer than some seconds")
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows with this text in their name")
    options = parser.parse_args()
    print(LAYOUT.format("protocol", "setup", "states", "property", "verdict", "steps"))
    judged: list[tuple[Row, Verdicts]] = []
    for title, group in GROUPS:
        print(f"\n{title}")
        for row in (row for row in group if options.only in row.name and (options.deep or not row.is_deep)):
            began_s = time.monotonic()
            found = verdicts(Model(row.setup, row.protocol), row.judged)
            judged.append((row, found))
            show(row, found, time.monotonic() - began_s)
    for row, found in judged:
        tell(row, found)
    unexpected = [row.name for row, found in judged if not is_expected(row, found)]
    print(
        "\n" + (f"not as expected: {'; '.join(unexpected)}" if unexpected else f"{len(judged)} rows, each as expected")
    )
    return 1 if unexpected else 0


def is_expected(row: Row, found: Verdicts) -> bool:
    """Whether what must break does, and nothing breaks where nothing may."""
    return set(row.breaks) <= set(found.traces) and bool(row.breaks) == bool(found.traces)


def show(row: Row, found: Verdicts, took_s: float) -> None:
    """Print a line for each property that breaks, or one that says that all hold."""
    first = (row.protocol.name, row.label, str(found.states))
    lines = [(name, "BROKEN", str(len(trace.steps))) for name, trace in found.traces.items()]
    for name, verdict, steps in lines or [(f"all {len(PROPERTIES)}", "holds", "-")]:
        print(LAYOUT.format(*first, name, verdict, steps) + (f"  {took_s:.1f} s" if first[0] else ""))
        first = ("", "", "")


def tell(row: Row, found: Verdicts) -> None:
    """Print the shortest way to break each property that the row is about."""
    for name, trace in found.traces.items():
        if name in row.breaks or not row.breaks:
            print(f"\n{row.name}\n  breaks: {name}")
            print("\n".join(f"  {number:>3}  {step}" for number, step in enumerate(trace.steps, 1)))
            if trace.then:
                print("       and then, whatever happens by itself; at the soonest:")
                print("\n".join(f"       {step}" for step in trace.then))


if __name__ == "__main__":
    sys.exit(main())
