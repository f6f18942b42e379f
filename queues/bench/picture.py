"""The main figures of a run as one SVG, for a README: it follows the reader's light or dark too."""

from collections.abc import Sequence

from queues.bench import style
from queues.bench.contenders import Contender
from queues.bench.figures import Figures
from queues.bench.measure import Results
from queues.bench.pictures import sheet
from queues.bench.targets import DURING, INCR, LATENCY, MANY, ONE

BARS = (ONE, MANY, DURING, INCR)
COLUMNS = 2


def picture(results: Results, contenders: Sequence[Contender]) -> str:
    """What most people ask for first, as far as it was measured."""
    figures = Figures(results.samples, contenders)
    chosen = [
        *(each for each in figures.throughput() if each.title in BARS),
        *(each for each in figures.latency() if each.title == LATENCY),
        *figures.bursts()[:1],
        *figures.growth(),
    ]
    return sheet([(each.title, each.unit, each.svg) for each in chosen], style.COLOURS + style.PICTURES, COLUMNS)
