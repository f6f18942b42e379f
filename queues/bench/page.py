"""A run as one HTML page with pictures; nothing is loaded from elsewhere."""

from collections.abc import Iterator, Sequence
from html import escape
from string import Template

from queues.bench import style
from queues.bench.contenders import Contender
from queues.bench.figures import Figure, Figures
from queues.bench.measure import Results, Sample
from queues.bench.pictures import Bar, gauge
from queues.bench.report import CLOSE, ONE_ROUND, rounds_of, shown
from queues.bench.targets import Target

FRAME = Template(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>onceq: task systems side by side</title><style>$style</style></head><body>
<h1>Task systems side by side</h1>
<p>One run, every task counted by its effect. $rounds</p>$made$invalid
<ul class="legend">$legend</ul>
$body
<h2>The machine</h2><dl>$machine</dl>
</body></html>
"""
)
LOOKS = {
    "celery": "idempotent by onceq, on Celery",
    "dramatiq": "idempotent by onceq, on Dramatiq",
    "memory": "idempotent by onceq, in memory",
    "other": "all others",
}
TILE = Template(
    """<div class="tile $verdict"><div><b>$value<small> $unit</small></b>$what</div>
<div>$gauge<footer><span>$asked</span><em>$verdict</em></footer></div></div>"""
)


def page(results: Results, targets: Sequence[Target], contenders: Sequence[Contender]) -> str:
    """The page; a figure of which nothing was measured is left out."""
    told = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in results.machine.items())
    samples = results.samples
    body = _targets(results.samples, targets) + "".join(_sections(Figures(results.samples, contenders)))
    wrong = "".join(f'<p class="invalid">Invalid, and left out: {escape(text)}</p>' for text in results.invalid)
    return FRAME.substitute(
        rounds=_rounds(samples),
        made=_made(results),
        legend=_legend(samples, contenders),
        style=style.COLOURS + style.PICTURES + style.PAGE,
        body=body,
        machine=told,
        invalid=wrong,
    )


def _rounds(samples: Sequence[Sample]) -> str:
    rounds = rounds_of(samples)
    if rounds > 1:
        return f"Medians of {rounds} rounds, interleaved; lines on bars go from quarter to quarter of them."
    return f"{ONE_ROUND[0].upper()}{ONE_ROUND[1:]}."


def _made(results: Results) -> str:
    """The command that made the run, and when."""
    if not results.command:
        return ""
    return f"<p><code>{escape(results.command)}</code> on {escape(results.date)}.</p>"


def _legend(samples: Sequence[Sample], contenders: Sequence[Contender]) -> str:
    """What the colours mean that the pictures have."""
    measured = {sample.contender for sample in samples}
    looks = {contender.look for contender in contenders if contender.name in measured}
    return "".join(f'<li class="{look}"><i></i>{text}</li>' for look, text in LOOKS.items() if look in looks)


def _sections(figures: Figures) -> Iterator[str]:
    text = (
        "Tasks a second: longer is better. redis-py is a loop of bare commands and no task system; memory is this "
        "library in one process, running every message."
    )
    yield from _section("Throughput", text, figures.throughput())
    text = (
        "From the moment a task was meant to be sent until its effect, each system at a share of what it carries "
        "itself. Lower is better; the right end is the slowest task."
    )
    yield from _section("Latency", text, figures.latency())
    text = (
        "Tasks done as time goes by, in the median round: steeper is better. And microseconds of one submission "
        "beside so many records: flat is good."
    )
    yield from _section("Bursts and many records", text, [*figures.bursts(), *figures.growth()])
    yield from _section("Time and memory", "Shorter is better.", figures.costs())


def _section(title: str, text: str, figures: Sequence[Figure]) -> Iterator[str]:
    if figures:
        cards = "".join(map(_card, figures))
        yield f'<h2>{escape(title)}</h2><p>{escape(text)}</p><div class="cards">{cards}</div>'


def _card(figure: Figure) -> str:
    title = f"<h3>{escape(figure.title)}<small>{escape(figure.unit)}</small></h3>"
    return f'<div class="card">{title}{figure.svg}</div>'


def _targets(samples: Sequence[Sample], targets: Sequence[Target]) -> str:
    tiles = "".join(_tile(target, samples) for target in targets)
    if not tiles:
        return ""
    text = (
        "What is claimed, measured: the mark is the target, the line goes from quarter to quarter of the rounds. "
        f"{CLOSE[0].upper()}{CLOSE[1:]}."
    )
    return f'<h2>Targets</h2><p>{text}</p><div class="tiles">{tiles}</div>'


def _tile(target: Target, samples: Sequence[Sample]) -> str:
    spread = target.measured(samples)
    if spread is None:
        return ""
    verdict, value = target.verdict(samples), shown(spread.median)
    bar = Bar(target.what, spread.median, spread.low, spread.high, value, verdict)
    return TILE.substitute(
        verdict=verdict,
        value=value,
        unit="\N{MULTIPLICATION SIGN}" if target.unit == "times" else target.unit,
        what=escape(target.what),
        gauge=gauge(bar, target.bound),
        asked=escape(target.asked),
    )
