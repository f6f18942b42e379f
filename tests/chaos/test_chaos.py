"""Short runs of the whole harness; `make chaos` is the long one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.rabbit_node import is_installed

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 240
SHORT = ("--minutes", "0.2", "--lease", "1.5")
LAST_LINE = re.compile(r"chaos: (\d+) tasks, (\d+) faults, (\d+) lost, (\d+) doubled, recovery at most \d+\.\d s")


def chaos(tmp_path: Path, *arguments: str) -> tuple[int, tuple[int, ...], str]:
    """The exit code, the four numbers of the last line, and everything printed."""
    command = [sys.executable, "-m", "tests.chaos", "--picture", str(tmp_path / "timeline.html"), *arguments]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    printed = ended.stdout + ended.stderr
    found = LAST_LINE.fullmatch(ended.stdout.strip().splitlines()[-1]) if ended.stdout.strip() else None
    assert found, printed
    return ended.returncode, tuple(int(number) for number in found.groups()), printed


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["celery", "dramatiq"])
def test_a_short_run_loses_and_doubles_nothing_and_draws_its_timeline(backend: str, tmp_path: Path):
    code, (tasks, faults, lost, doubled), printed = chaos(tmp_path, "--backend", backend, *SHORT)

    assert (code, lost, doubled) == (0, 0, 0), printed
    assert tasks >= 10  # a busy machine does less in its twelve seconds
    assert faults >= 3
    page = (tmp_path / "timeline.html").read_text("utf-8")
    assert "<svg" in page
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"(src|href)=", page)


@pytest.mark.slow
@pytest.mark.rabbitmq
@pytest.mark.skipif(not is_installed() and "CI" not in os.environ, reason="rabbitmq-server is not installed")
def test_a_short_run_on_rabbitmq_loses_and_doubles_nothing(tmp_path: Path):
    code, (_, faults, lost, doubled), printed = chaos(tmp_path, "--broker", "rabbitmq", *SHORT)

    assert (code, lost, doubled) == (0, 0, 0), printed
    assert faults >= 3


@pytest.mark.slow
@pytest.mark.parametrize(("control", "broken"), [("skip", "lost"), ("two-leases", "doubled")])
def test_a_library_that_is_broken_on_purpose_is_found_out(control: str, broken: str, tmp_path: Path):
    # A short run has some ten kills and pauses, and which of them meet a task that runs is chance: one run in ten meets
    # none. Four in a row that find nothing would be a judge that sees nothing.
    for seed in range(1, 5):
        options = ("--control", control, "--quiet", "5", "--seed", str(seed))
        code, (_, _, lost, doubled), printed = chaos(tmp_path, *options, *SHORT)
        found = {"lost": lost, "doubled": doubled}[broken]
        assert code == (1 if lost or doubled else 0), printed
        if found:
            break

    assert found, printed
