"""The ground: pypdf alone, the text of one page after another, in one process; nothing is cut or stored."""

import os
from pathlib import Path

from pypdf import PdfReader

from app.bench.documents import documents


def load(count: int) -> None:
    """Read `count` documents, those of the folder again and again.

    Raises:
        ValueError: one has no text.
    """
    paths = documents(Path(os.environ["BENCH_LEDGER"]).parent)
    for number in range(count):
        path = paths[number % len(paths)]
        if not sum(len(page.extract_text()) for page in PdfReader(path).pages):
            message = f"{path.name} has no text"
            raise ValueError(message)
