"""How figures get into the documents."""

import shutil
from pathlib import Path

import pytest

from tests.benchmarks.publish import ROOT, main


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The documents that there are, and a run."""
    (tmp_path / "build").mkdir()
    (tmp_path / "deploy").mkdir()
    for name in ("README.md", "deploy/README.md"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / "build" / "bench.md").write_text("| a \\1 row |\n")
    (tmp_path / "build" / "bench.svg").write_text("<svg/>")
    return tmp_path


def test_figures_take_the_place_of_older_ones(root: Path):
    (root / "build" / "scale.txt").write_text("\nplans  \n\n")
    (root / "build" / "layers.txt").write_text("send: 20 us\n")

    assert (main(root), main(root)) == (0, 0)

    assert "<!-- measured: make bench -->\n| a \\1 row |\n<!-- end: make bench -->" in (root / "README.md").read_text()
    assert "<!-- measured: scale -->\n```\nplans\n```\n<!-- end: scale -->" in (root / "deploy/README.md").read_text()
    assert "<!-- measured: layers -->\n```\nsend: 20 us\n```\n<!-- end" in (root / "deploy/README.md").read_text()
    assert (root / "deploy" / "benchmark.svg").read_text() == "<svg/>"


def test_without_a_run_nothing_is_written(root: Path):
    (root / "build" / "bench.md").unlink()
    before = (root / "README.md").read_text()

    assert main(root) == 1
    assert (root / "README.md").read_text() == before
