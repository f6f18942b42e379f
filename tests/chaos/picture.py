"""The timeline of a run as one HTML file: tasks in flight, faults, and recoveries; nothing is loaded from elsewhere."""

from collections import Counter
from html import escape
from string import Template

from tests.chaos.faults import Fault
from tests.chaos.recoveries import Recovery
from tests.chaos.run import Ended
from tests.chaos.runs import runs_of
from tests.chaos.schedule import Kind
from tests.chaos.screen import last_line

WIDTH, LEFT, RIGHT = 1160, 290, 20
CURVE, ROW, GAP = 170, 20, 34
STEPS = 400
MAX_RECOVERIES = 60

PAGE = Template(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #23211c; --faint: #8d887c; --line: #e2ddd1;
  --work: #2f6f8f; --fault: #b5482a; --back: #3d7d4b; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #191815; --ink: #e9e5da; --faint: #8f8a7d; --line: #35322b;
    --work: #7db9d6; --fault: #e58866; --back: #84c492; } }
body { margin: 2.5rem auto; max-width: 1200px; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 ui-sans-serif, system-ui, sans-serif; }
h1 { font-size: 1.35rem; font-weight: 600; margin: 0; }
p { margin: .3rem 0 1.2rem; color: var(--faint); }
svg { width: 100%; height: auto; display: block; }
text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: var(--ink); }
.faint { fill: var(--faint); }
.grid { stroke: var(--line); }
.work { fill: var(--work); fill-opacity: .22; stroke: var(--work); stroke-width: 1.2; }
.fault { fill: var(--fault); }
.long { fill: var(--fault); fill-opacity: .35; }
.back { stroke: var(--back); stroke-width: 3; stroke-linecap: round; }
.end { fill: var(--back); }
</style></head><body>
<h1>$title</h1>
<p>$line</p>
$figure
</body></html>
"""
)


def draw(ended: Ended) -> str:
    """The page."""
    title = f"Chaos: {ended.options.backend} on {ended.options.broker}, seed {ended.options.seed}"
    figure = _Figure(ended).svg()
    return PAGE.substitute(title=escape(title), line=escape(last_line(ended.verdict, ended.faults)), figure=figure)


class _Figure:
    def __init__(self, ended: Ended) -> None:
        self._ended = ended
        self._runs = runs_of(ended.tally.lines)
        times = [ended.start_ms + ended.options.seconds * 1000, *(line.mono_ms for line in ended.tally.lines)]
        self._seconds = (max(times) - ended.start_ms) / 1000
        self._parts: list[str] = []
        self._y = 24

    def svg(self) -> str:
        """The figure, drawn from top to bottom."""
        self._in_flight()
        self._faults()
        self._recoveries()
        self._axis()
        size = f'viewBox="0 0 {WIDTH} {self._y + 30}"'
        label = "Tasks in flight, faults and recoveries over time"
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}">'
        return f"{head}{''.join(self._parts)}</svg>"

    def _x(self, mono_ms: float) -> float:
        seconds = min(max((mono_ms - self._ended.start_ms) / 1000, 0.0), self._seconds)
        return LEFT + seconds / self._seconds * (WIDTH - LEFT - RIGHT)

    def _text(self, x: float, y: float, text: str, *, is_faint: bool = False, anchor: str = "start") -> None:
        look = ' class="faint"' if is_faint else ""
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{look}>{escape(text)}</text>')

    def _in_flight(self) -> None:
        step_ms = self._seconds * 1000 / STEPS
        counts = [0] * (STEPS + 1)
        deaths = {pid: fault.at_ms for fault in self._ended.faults if "killed" in fault.kind for pid in fault.pids}
        for run in self._runs:
            end_ms = run.left_ms if run.left_ms is not None else deaths.get(run.pid, run.begun_ms)
            first, last = ((ms - self._ended.start_ms) / step_ms for ms in (run.begun_ms, end_ms))
            for place in range(max(0, int(first)), min(STEPS, int(last)) + 1):
                counts[place] += 1
        top = max(counts) or 1
        bottom = self._y + CURVE
        points = [
            f"{self._x(self._ended.start_ms + place * step_ms):.1f},{bottom - count / top * (CURVE - 16):.1f}"
            for place, count in enumerate(counts)
        ]
        self._text(0, self._y + 12, "tasks in flight")
        self._text(LEFT - 8, self._y + 20, str(top), is_faint=True, anchor="end")
        self._text(LEFT - 8, bottom, "0", is_faint=True, anchor="end")
        shape = f"{LEFT},{bottom} {' '.join(points)} {WIDTH - RIGHT},{bottom}"
        self._parts.append(f'<polygon class="work" points="{shape}"/>')
        self._y = bottom + GAP

    def _faults(self) -> None:
        kinds = Counter(fault.kind for fault in self._ended.faults)
        for kind in Kind:
            if kinds[kind]:
                self._row(f"{kind.value}", str(kinds[kind]))
                for fault in self._ended.faults:
                    if fault.kind is kind:
                        self._mark(fault)
                self._y += ROW
        self._y += GAP - ROW

    def _row(self, label: str, count: str) -> None:
        self._text(0, self._y + 4, label)
        self._text(LEFT - 8, self._y + 4, count, is_faint=True, anchor="end")
        self._parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{self._y}" y2="{self._y}"/>')

    def _mark(self, fault: Fault) -> None:
        x, width = self._x(fault.at_ms), self._x(fault.end_ms) - self._x(fault.at_ms)
        told = f"<title>{escape(f'{fault.kind.value}: {fault.target}')}</title>"
        if width > 1:
            self._parts.append(f'<rect class="long" x="{x:.1f}" y="{self._y - 5}" width="{width:.1f}" height="10"/>')
        self._parts.append(f'<rect class="fault" x="{x:.1f}" y="{self._y - 6}" width="2" height="12">{told}</rect>')

    def _recoveries(self) -> None:
        found = sorted(self._ended.verdict.recoveries, key=lambda each: each.seconds, reverse=True)[:MAX_RECOVERIES]
        if not found:
            return
        self._text(0, self._y + 4, "recoveries")
        self._text(0, self._y + 22, "from a kill to the next begin", is_faint=True)
        lanes: list[float] = []
        top = self._y
        for recovery in sorted(found, key=lambda each: each.killed_ms):
            lane = next((place for place, end in enumerate(lanes) if end < recovery.killed_ms), len(lanes))
            lanes[lane : lane + 1] = [recovery.begun_ms]
            self._stretch(recovery, top + lane * 9)
        self._y = top + max(len(lanes) * 9, ROW) + GAP

    def _stretch(self, recovery: Recovery, y: float) -> None:
        first, last = self._x(recovery.killed_ms), self._x(recovery.begun_ms)
        told = f"<title>{escape(recovery.name)}: {recovery.seconds:.1f} s</title>"
        line = f'<line class="back" x1="{first:.1f}" x2="{last:.1f}" y1="{y:.1f}" y2="{y:.1f}">{told}</line>'
        self._parts.append(f'{line}<circle class="end" cx="{last:.1f}" cy="{y:.1f}" r="3"/>')

    def _axis(self) -> None:
        step = next(
            step for step in (5, 10, 20, 30, 60, 120, 300, 600, 1800) if self._seconds / step <= 12 or step == 1800
        )
        for seconds in range(0, int(self._seconds) + 1, step):
            x = self._x(self._ended.start_ms + seconds * 1000)
            grid = f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="24" y2="{self._y}" stroke-dasharray="1 4"/>'
            self._parts.insert(0, grid)
            self._text(x, self._y + 18, f"{seconds} s", is_faint=True, anchor="middle")
