"""Put what was measured into the documents: `python -m tests.benchmarks.publish`, after `make bench`.

The table of build/bench.md goes into README.md, the picture becomes deploy/benchmark.svg, and what
`python -m tests.benchmarks.scale > build/scale.txt` printed goes into deploy/README.md, if it is there; so does what
`python -m tests.benchmarks.layers > build/layers.txt` printed.
"""

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main(root: Path = ROOT) -> int:
    """Write the documents; 1 when there is nothing to write."""
    table, picture = root / "build" / "bench.md", root / "build" / "bench.svg"
    if not table.exists() or not picture.exists():
        sys.stderr.write(f"{table} or {picture} is not there: run `make bench` first\n")
        return 1
    shutil.copyfile(picture, root / "deploy" / "benchmark.svg")
    place(root / "README.md", "make bench", table.read_text("utf-8"))
    for name in ("scale", "layers"):
        printed = root / "build" / f"{name}.txt"
        if printed.exists():
            lines = [line.rstrip() for line in printed.read_text("utf-8").splitlines()]
            place(root / "deploy" / "README.md", name, "```\n" + "\n".join(filter(None, lines)) + "\n```\n")
    return 0


def place(document: Path, name: str, text: str) -> None:
    """Put the text between the document's two marks of that name.

    Raises:
        ValueError: they are not there.
    """
    place_of_it = re.compile(f"(<!-- measured: {name} -->\\n).*?(<!-- end: {name} -->)", re.DOTALL)
    after, count = place_of_it.subn(lambda found: f"{found[1]}{text}{found[2]}", document.read_text("utf-8"))
    if count != 1:
        message = f"{document} has no place for {name}"
        raise ValueError(message)
    document.write_text(after, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
