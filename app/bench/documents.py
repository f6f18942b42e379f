"""The PDFs that are read: those of the folder BENCH_DOCUMENTS, or eight that are made, or one of BENCH_PAGES pages."""

import os
from pathlib import Path

from app.demo.pdf import write_pdf
from app.demo.samples import DETAILS, TOPICS
from app.extract.errors import DocumentError
from app.extract.limits import Limits
from app.extract.pdf import read
from app.extract.section import Section

PAGES = (2, 5, 10, 15, 20, 30, 40, 60)
LINES = 45


def documents(place: Path) -> list[Path]:
    """Files with text that need no password; `place` takes those that are made.

    Raises:
        ValueError: the folder has none.
    """
    folder, pages = os.environ.get("BENCH_DOCUMENTS"), os.environ.get("BENCH_PAGES")
    if pages or not folder:
        return [_made(place, number) for number in ([int(pages)] if pages else PAGES)]
    found = [path for path in sorted(Path(folder).rglob("*.pdf")) if _is_readable(path)]
    if not found:
        message = f"{folder} has no PDF with text"
        raise ValueError(message)
    return found


def _is_readable(path: Path) -> bool:
    try:
        return any(isinstance(item, Section) and item.text.strip() for item in read(path, Limits()))
    except DocumentError:
        return False


def _made(place: Path, count: int) -> Path:
    path = place / f"{count}-pages.pdf"
    if not path.exists():
        words = [text for pair in TOPICS for text in pair] + [*DETAILS]
        lines = [
            [f"{page}.{line} {words[(page + line) % len(words)]}" for line in range(LINES)] for page in range(count)
        ]
        path.write_bytes(write_pdf(lines))
    return path
