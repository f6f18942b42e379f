"""The public API as mypy --strict sees it."""

import re
import subprocess
import sys
from pathlib import Path

USER_CODE = Path(__file__).parent / "user_code.py"
SAID = re.compile(r":(\d+): (?:error|note): (?:Revealed type is \"(.*)\"|(.*?))(?:  \[[a-z-]+\])?$")


def test_mypy_tells_a_user_what_fits_and_what_does_not(tmp_path: Path):
    expected = {}
    for number, line in enumerate(USER_CODE.read_text("utf-8").splitlines(), start=1):
        if found := re.search(r"# [ER]: (.*)$", line):
            expected[number] = found[1]

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, USER_CODE],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    lines = [line for line in done.stdout.splitlines() if USER_CODE.name in line and '" defined in "' not in line]
    said = {int(m[1]): m[2] or m[3] for line in lines if (m := SAID.search(line))}
    plain = {number: text.replace("builtins.", "") for number, text in said.items()}
    assert plain.keys() == expected.keys(), done.stdout
    assert {n: t for n, t in expected.items() if not plain[n].startswith(t)} == {}, done.stdout
