"""Small SVG figures: bars, and lines over an axis. Colours are classes of the page that they stand in."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 400
ROW = 24
LETTER, BOLD_LETTER = 6.1, 6.7
"""About so wide is one of a name, in a wide font."""
NUMBERS = 52
TOP, BOTTOM, LEFT = 12, 36, 42
HEIGHT = 300
LINE_LABEL = 14
LEAD = 14
"""From the end of a line to its name."""
GAUGE = 10
GAP = 14
"""Between pictures in a sheet."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: a value, the quarter below and above it, and the class that colours it."""

    name: str
    value: float
    low: float
    high: float
    label: str
    look: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line, and the class that colours it."""

    name: str
    points: tuple[tuple[float, float], ...]
    look: str


@dataclass(frozen=True, slots=True)
class Axis:
    """From a value to a place between 0 and 1, and the values that are named.

    Args:
        place: grows with the value.
        ticks: value and text.
    """

    place: Callable[[float], float]
    ticks: Sequence[tuple[float, str]]
    name: str


def bars(rows: Sequence[Bar], label: str) -> str:
    """Horizontal bars, each with its quartiles as a whisker."""
    most = max((row.high for row in rows), default=1) or 1
    labels = _widest((row.name, row.look) for row in rows)
    width = WIDTH - labels - NUMBERS
    parts = []
    for number, row in enumerate(rows):
        y = number * ROW
        long, low, high = (labels + value / most * width for value in (row.value, row.low, row.high))
        parts += [
            f'<g class="{row.look}">{_told(f"{row.name}: {row.label}")}',
            _text(labels - 8, y + 16, row.name, "end", "name"),
            f'<rect x="{labels}" y="{y + 4}" width="{max(1.0, long - labels):.1f}" height="{ROW - 8}" rx="2"/>',
            f'<path class="whisker" d="M{low:.1f} {y + ROW / 2}H{high:.1f}"/>',
            _text(max(long, high) + 6, y + 16, row.label, "start", "number"),
            "</g>",
        ]
    return _figure(parts, len(rows) * ROW + 4, label)


def lines(series: Sequence[Line], x: Axis, y: Axis, label: str) -> str:
    """Lines over two axes, each named where it ends."""
    right = WIDTH - LEAD - _widest((line.name, line.look) for line in series)
    width, height = right - LEFT, HEIGHT - TOP - BOTTOM

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return LEFT + x.place(point[0]) * width, TOP + (1 - y.place(point[1])) * height

    parts = []
    for value, text in y.ticks:
        place = TOP + (1 - y.place(value)) * height
        parts += [
            f'<path class="grid" d="M{LEFT} {place:.1f}H{right}"/>',
            _text(LEFT - 6, place + 4, text, "end", "faint"),
        ]
    for value, text in x.ticks:
        parts.append(_text(LEFT + x.place(value) * width, HEIGHT - BOTTOM + 16, text, "middle", "faint"))
    parts.append(_text(LEFT, HEIGHT - 3, x.name, "start", "faint"))
    ends = {line: at(line.points[-1]) for line in series}
    # Where all end at the same height, the order of the labels says enough.
    is_led = len({round(end[1]) for end in ends.values()}) > 1 or len(series) == 1
    places = _apart({line.name: end[1] for line, end in ends.items()})
    # Ours last, so that they lie above the others; where two share a colour, the second is dashed.
    drawn: set[str] = set()
    for line in sorted(series, key=lambda each: each.look != "other"):
        dashed = " dashed" * (line.look in drawn)
        drawn |= {line.look} - {"other"}
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in map(at, line.points))
        end = ends[line]
        parts += [
            f'<g class="{line.look}{dashed}">{_told(line.name)}<polyline points="{path}"/>',
            f'<path class="lead" d="M{end[0]:.1f} {end[1]:.1f}L{right + LEAD - 2} {places[line.name]:.1f}"/>' * is_led,
            _text(right + LEAD, places[line.name] + 4, line.name, "start", "name"),
            "</g>",
        ]
    return _figure(parts, max(HEIGHT, TOP + LINE_LABEL * len(series) + BOTTOM), label)


def gauge(value: Bar, bound: float) -> str:
    """One bar in its track, with its quartiles, and a mark where it should reach to, or stay below."""
    most = max(value.high, bound) * 1.12 or 1
    long, low, high, mark = (number / most * WIDTH for number in (value.value, value.low, value.high, bound))
    parts = [
        f'<g class="{value.look}">{_told(f"{value.name}: {value.label}")}',
        f'<rect class="track" y="{GAUGE}" width="{WIDTH}" height="{2 * GAUGE}" rx="4"/>',
        f'<rect class="value" y="{GAUGE}" width="{max(4.0, long):.1f}" height="{2 * GAUGE}" rx="4"/>',
        f'<path class="whisker" d="M{low:.1f} {2 * GAUGE}H{high:.1f}"/>',
        f'<path class="bound" d="M{mark:.1f} 1V{4 * GAUGE - 1}"/></g>',
    ]
    return _figure(parts, 4 * GAUGE, value.name)


def sheet(figures: Sequence[tuple[str, str, str]], look: str, columns: int = 2) -> str:
    """Several figures as one picture that stands alone; each is a title, a unit and its SVG.

    Args:
        look: a style sheet.
    """
    card, head = WIDTH + 2 * GAP, 44
    tops, parts = [GAP] * columns, []
    for title, unit, svg in figures:
        column = tops.index(min(tops))
        x, y, height = GAP + column * (card + GAP), tops[column], _height(svg)
        parts += [
            f'<rect class="card" x="{x}" y="{y}" width="{card}" height="{height + head + GAP}" rx="10"/>',
            f'<text class="title" x="{x + GAP}" y="{y + 26}">{escape(title)} {_unit(unit)}</text>',
            svg.replace("<svg ", f'<svg x="{x + GAP}" y="{y + head}" width="{WIDTH}" height="{height}" ', 1),
        ]
        tops[column] += height + head + 2 * GAP
    size = f'viewBox="0 0 {columns * (card + GAP) + GAP} {max(tops)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{look}</style>{"".join(parts)}</svg>'


def _unit(text: str) -> str:
    return f'<tspan class="unit">{escape(text)}</tspan>'


def _height(svg: str) -> int:
    return int(svg.partition(f'viewBox="0 0 {WIDTH} ')[2].partition('"')[0])


def linear(most: float, name: str) -> Axis:
    """From 0 to the next round number."""
    step = _step(most)
    top = step * math.ceil(most / step) if most else 1.0
    ticks = [(step * n, f"{step * n:,.10g}") for n in range(round(top / step) + 1)]
    return Axis(lambda value: min(1.0, value / top), ticks, name)


def logarithmic(least: float, most: float, name: str) -> Axis:
    """From the power of ten below the least to that above the most."""
    low = math.floor(math.log10(max(least, 1e-3)))
    high = max(low + 1, math.ceil(math.log10(max(most, 1e-3))))
    ticks = [(10.0**n, f"{10.0**n:,.10g}") for n in range(low, high + 1)]

    def place(value: float) -> float:
        return min(1.0, max(0.0, (math.log10(max(value, 1e-3)) - low) / (high - low)))

    return Axis(place, ticks, name)


def tail(name: str) -> Axis:
    """Shares, drawn out towards 1: each nine takes the same room."""
    ticks = [(0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %")]
    return Axis(lambda share: min(1.0, -math.log10(max(1 - share, 1e-4)) / 3.3), ticks, name)


def _step(most: float) -> float:
    """1, 2 or 5 times a power of ten, so that there are about five steps."""
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most / 4))
    return next((power * times for times in (1, 2, 5) if most / (power * times) <= 6), power * 10)


def _apart(places: dict[str, float]) -> dict[str, float]:
    """The places of labels, moved down where they would cover each other, then up where there is no more room."""
    found: dict[str, float] = {}
    last = TOP - LINE_LABEL / 2
    for name, place in sorted(places.items(), key=lambda pair: pair[1]):
        found[name] = last = max(place, last + LINE_LABEL)
    below = max(HEIGHT - BOTTOM + 8.0, TOP + LINE_LABEL * len(places))
    for name in reversed(found):
        found[name] = below = min(found[name], below)
        below -= LINE_LABEL
    return found


def _widest(names: Iterable[tuple[str, str]]) -> int:
    """Room for the longest of these names, each with its look, and for a gap beside it."""
    wide = (len(name) * (LETTER if look == "other" else BOLD_LETTER) for name, look in names)
    return 10 + round(max(wide, default=0))


def _text(x: float, y: float, text: str, anchor: str, look: str = "") -> str:
    named = f' class="{look}"' if look else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(text)}</text>'


def _told(text: str) -> str:
    return f"<title>{escape(text)}</title>"


def _figure(parts: Sequence[str], height: float, label: str) -> str:
    size = f'viewBox="0 0 {WIDTH} {height:.0f}"'
    return f'<svg {size} role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
