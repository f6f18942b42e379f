"""What a run is told as: the page, and the comparison with an older run."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree  # noqa: ICN001 - no word is an abbreviation here

import pytest

from queues.bench import compare
from queues.bench.contenders import CONTENDERS, DECIDERS, DECISION
from queues.bench.figures import Figures
from queues.bench.measure import Results, Sample
from queues.bench.page import page
from queues.bench.picture import picture
from queues.bench.pictures import WIDTH
from queues.bench.report import document, markdown
from queues.bench.targets import ONE, TARGETS
from queues.cli import main
from queues.errors import InvalidOptionError

MACHINE = {"processor": "<fast & new>"}
CURVE = ((0.5, 1.0), (0.9, 3.0), (0.99, 9.0))
RUN = [
    Sample(ONE, "celery", 0, 1000.0, 100),
    Sample(ONE, "onceq on celery", 0, 4000.0, 100),
    Sample("latency at 50 % of capacity", "onceq on celery", 0, 9.0, 100, unit="ms", points=CURVE),
    Sample("burst of 10,000 and drain", "dramatiq", 0, 50.0, 100, points=((0.1, 1), (2.0, 100))),
    *(Sample(DECISION, contender.name, 0, 200.0, 100, unit="us") for contender in DECIDERS),
    Sample("memory of a worker", "saq", 0, 60.0, 1, unit="MB"),
]


def test_the_page_draws_each_kind_of_figure_and_loads_nothing():
    drawn = page(Results(RUN, MACHINE), TARGETS, CONTENDERS)

    assert drawn.count('<div class="card">') == 6
    assert drawn.count('<div class="tile held">') == 2
    assert drawn.count("<polyline") == 3
    assert not re.search(r"https?://|src=|href=|url\(|@import|<script", drawn)
    assert "prefers-color-scheme: dark" in drawn
    assert "&lt;fast &amp; new&gt;" in drawn


def test_the_page_says_what_made_it_and_what_its_colours_mean():
    drawn = page(Results(RUN, MACHINE, command="queues bench <1>", date="2026-11-30"), TARGETS, CONTENDERS)

    assert "<code>queues bench &lt;1&gt;</code> on 2026-11-30" in drawn
    assert "One round" in drawn
    assert [look for look in ("celery", "dramatiq", "memory", "other") if f'<li class="{look}">' in drawn] == [
        "celery",
        "other",
    ]


def test_no_name_is_cut():
    name = "a system that has a name of more letters than most"
    rates = [Sample(ONE, name, 0, 10.0, 1), Sample("burst", name, 0, 10.0, 1, points=((0.1, 1), (2.0, 100)))]

    (bar,), (line,) = Figures(rates, []).throughput()[:1], Figures(rates, []).bursts()

    (ends_at,) = re.findall(rf'x="([0-9.]+)" [^>]*>{name}', bar.svg)
    (begins_at,) = re.findall(rf'x="([0-9.]+)" [^>]*>2.0 s {name}', line.svg)
    # In a font of eleven points letters are about half as wide.
    assert float(ends_at) > 5.5 * len(name)
    assert float(begins_at) + 5.5 * len(f"2.0 s {name}") < WIDTH


def test_of_two_lines_in_one_colour_the_second_is_dashed():
    names = ("onceq on celery", "onceq on celery threads", "saq", "huey")
    rates = [Sample("burst", name, 0, 10.0, 1, points=((0.1, 1), (2.0, 100))) for name in names]

    (drawn,) = Figures(rates, CONTENDERS).bursts()

    assert re.findall(r'<g class="([a-z ]+)">', drawn.svg) == ["other", "other", "celery", "celery dashed"]


def test_the_page_of_a_run_that_measured_nothing_is_a_page():
    assert "fast" in page(Results([], MACHINE), TARGETS, CONTENDERS)


def test_the_picture_is_one_file_that_follows_light_and_dark():
    drawn = picture(Results(RUN, MACHINE), CONTENDERS)

    assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own
    assert drawn.count('class="title"') == 4
    assert "prefers-color-scheme: dark" in drawn


def test_a_figure_is_worse_only_when_its_quarters_lie_apart_from_those_of_then():
    def run(values: list[float], unit: str) -> list[Sample]:
        return [Sample("s", "c", number, value, 1, unit=unit) for number, value in enumerate(values)]

    def is_worse(old: list[float], new: list[float], unit: str) -> bool:
        (change,) = compare.changes(run(old, unit), run(new, unit))
        return change.is_worse

    assert is_worse([100, 101, 102], [80, 81, 82], "a second")
    assert not is_worse([100, 101, 102], [80, 101, 120], "a second")
    assert not is_worse([100, 101, 102], [180, 181, 182], "a second")
    assert is_worse([100, 101, 102], [180, 181, 182], "ms")


def test_a_kept_run_is_read_again(tmp_path: Path):
    kept = tmp_path / "run.json"
    kept.write_text(document(Results(RUN, MACHINE), TARGETS), "utf-8")

    assert compare.read(str(kept)) == Results(RUN, MACHINE)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"samples": [{"value": 1}], "machine": {}}', '{"samples": 3}'])
def test_a_file_that_is_no_run_is_refused(tmp_path: Path, text: str):
    kept = tmp_path / "run.json"
    kept.write_text(text, "utf-8")

    with pytest.raises(InvalidOptionError, match="is no run"):
        compare.read(str(kept))
    assert main(["bench", "--compare", str(kept)]) == 64


def test_the_table_for_a_readme_has_a_row_for_each_target_that_was_measured():
    told = markdown(Results(RUN, MACHINE), TARGETS)

    assert "| enqueue one, Celery: against delay() | 4 | 4 - 4 | at least 3.5 | held |" in told
    assert told.count("\n|") == 3
    assert "processor: <fast & new>." in told


def test_the_targets_of_a_run_are_in_its_document():
    told = json.loads(document(Results(RUN, MACHINE, ["a: lost"]), TARGETS))

    assert {"what": "enqueue one, Celery: against delay()", "bound": 3.5, "is_missed": False}.items() <= told[
        "targets"
    ][0].items()
    assert told["invalid"] == ["a: lost"]
