"""The README's Celery project, before and after its one changed line, with a worker of each kind."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compat.sides import MODULES, ROOT
from tests.servers import ValkeyServer
from tests.workers import Worker, has_logged

BLOCK = re.compile(r"<!-- tested by tests/compat/test_readme.py -->\n```diff\n(.*?)```", re.DOTALL)
TAKEN = {"celery": "-", "shim": "+"}


def program(side: str) -> str:
    """The README's program without the lines of the other side."""
    (diff,) = BLOCK.findall((ROOT / "README.md").read_text("utf-8"))
    return "".join(f"{line[1:]}\n" for line in diff.splitlines() if line[:1] in (" ", "", TAKEN[side]))


def test_one_line_differs() -> None:
    before, after = (program(side).splitlines() for side in ("celery", "shim"))

    assert len(before) == len(after)
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1


@pytest.mark.parametrize("side", ["celery", "shim"])
def test_the_project_runs(side: str, tmp_path: Path, roomy_valkey: ValkeyServer) -> None:
    url = f"{roomy_valkey.url.removesuffix('/0')}/197"
    (tmp_path / "shop.py").write_text(program(side).replace("redis://localhost:6379/0", url))
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [MODULES[side], "-A", "shop", "worker", "-c", "1", "-l", "INFO", "--without-mingle", "--without-gossip"]
    call = "import shop; print(shop.charge.delay('order-7').get(timeout=60))"

    with Worker(command, paths, tmp_path / "worker.log", has_logged):
        sent = subprocess.run(
            [sys.executable, "-c", call], env={**os.environ, **paths}, capture_output=True, text=True, check=False
        )

    assert sent.stdout == "charged order-7\n", sent.stderr
