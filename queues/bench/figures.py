"""From samples to pictures: which figures a run has, and what stands in them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from queues.bench.contenders import DECISION, Contender
from queues.bench.measure import RATE, Sample, Spread, values_of
from queues.bench.pictures import Bar, Line, bars, linear, lines, logarithmic, tail
from queues.bench.report import ranked, shown, unit_of


@dataclass(frozen=True, slots=True)
class Figure:
    """One picture: what it is of, in what it is measured, and its SVG."""

    title: str
    unit: str
    svg: str


class Figures:
    """The pictures of a run; nothing is drawn of what was not measured.

    Args:
        contenders: of whom the run may have samples; they say how each is coloured.
    """

    def __init__(self, samples: Sequence[Sample], contenders: Sequence[Contender]) -> None:
        self._samples = samples
        self._contenders = contenders
        self._looks = {contender.name: contender.look for contender in contenders}
        self._names = [*dict.fromkeys(sample.scenario for sample in samples)]

    def throughput(self) -> list[Figure]:
        """Bars of what is measured in tasks a second."""
        return [self._bars(name) for name in self._names if unit_of(self._samples, name) == RATE]

    def costs(self) -> list[Figure]:
        """Bars of what is better when it is less, and has no picture of its own."""
        others = [name for name in self._names if unit_of(self._samples, name) != RATE and name != DECISION]
        return [self._bars(name) for name in others if name not in self._curved()]

    def latency(self) -> list[Figure]:
        """How many tasks waited no longer than so long."""
        return [self._curves(name) for name in self._curved()]

    def bursts(self) -> list[Figure]:
        """Tasks done, as time goes by."""
        rates = [name for name in self._names if unit_of(self._samples, name) == RATE]
        return [self._timeline(name) for name in rates if self._has_points(name)]

    def growth(self) -> list[Figure]:
        """What one decision costs beside how many records."""
        found = [(c, values_of(self._samples, DECISION, c.name)) for c in self._contenders]
        points = [
            (float(contender.settings["BENCH_RECORDS"]), Spread.of([*values.values()]).median)
            for contender, values in found
            if values
        ]
        if not points:
            return []
        across = logarithmic(points[0][0], points[-1][0], "records")
        up = linear(max(value for _, value in points) * 1.2, "us")
        drawn = lines([Line("onceq", tuple(points), "celery")], across, up, DECISION)
        return [Figure(DECISION, "microseconds", drawn)]

    def _curved(self) -> list[str]:
        return [name for name in self._names if unit_of(self._samples, name) == "ms" and self._has_points(name)]

    def _has_points(self, scenario: str) -> bool:
        return any(sample.points for sample in self._samples if sample.scenario == scenario)

    def _look(self, name: str) -> str:
        return self._looks.get(name, "other")

    def _bars(self, scenario: str) -> Figure:
        rows = [
            Bar(name, spread.median, spread.low, spread.high, shown(spread.median), self._look(name))
            for name, spread in ranked(self._samples, scenario)
        ]
        unit = unit_of(self._samples, scenario)
        return Figure(scenario, f"tasks {RATE}" if unit == RATE else unit, bars(rows, scenario))

    def _curves(self, scenario: str) -> Figure:
        """Each contender's curve: at each share the median of its rounds."""
        series = []
        for name, _ in ranked(self._samples, scenario):
            columns = zip(*(sample.points for sample in self._own(scenario, name)), strict=True)
            points = tuple((column[0][0], statistics.median(value for _, value in column)) for column in columns)
            series.append(Line(name, points, self._look(name)))
        values = [value for line in series for _, value in line.points]
        scale = logarithmic(min(values), max(values), "ms")
        drawn = lines(series, tail("share of the tasks that waits no longer"), scale, scenario)
        return Figure(scenario, "ms", drawn)

    def _timeline(self, scenario: str) -> Figure:
        """Each contender's median round."""
        series = []
        for name, _ in ranked(self._samples, scenario):
            own = sorted(self._own(scenario, name), key=lambda sample: sample.value)
            points = own[len(own) // 2].points
            series.append(Line(f"{points[-1][0]:.1f} s {name}", points, self._look(name)))
        across = linear(max(line.points[-1][0] for line in series), "seconds")
        up = linear(max(line.points[-1][1] for line in series), "tasks")
        return Figure(scenario, "tasks done", lines(series, across, up, scenario))

    def _own(self, scenario: str, contender: str) -> list[Sample]:
        return [s for s in self._samples if (s.scenario, s.contender) == (scenario, contender)]
