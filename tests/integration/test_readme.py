"""The README's code, run as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
TESTED = re.compile(r"<!-- tested by tests/integration/test_readme.py -->\n```python\n(.*?)```", re.DOTALL)


def examples() -> list[str]:
    return TESTED.findall(README.read_text("utf-8"))


def test_the_readme_has_its_three_examples():
    assert len(examples()) == 3


def test_the_twenty_lines_run_in_one_process(tmp_path: Path):
    program = tmp_path / "shop.py"
    program.write_text(examples()[0], "utf-8")

    done = subprocess.run(
        [sys.executable, program],
        env={"QUEUES_BACKEND": "memory"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.stderr == ""
    assert done.stdout == "executed joined {'status': 'success', 'document': 'doc_123'}\n"
    assert done.returncode == 0


@pytest.mark.parametrize("number", [1, 2], ids=["celery", "dramatiq"])
def test_the_three_line_apps_can_be_imported(tmp_path: Path, number: int):
    program = tmp_path / "shop_app.py"
    program.write_text(examples()[number], "utf-8")

    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=120, check=False)

    assert done.stderr == ""
    assert done.returncode == 0
