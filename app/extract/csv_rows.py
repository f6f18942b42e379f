"""CSV, row by row, in whatever dialect it is written."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from app.extract.charset import detect_encoding
from app.extract.errors import Code, DocumentError
from app.extract.limits import Limits
from app.extract.rows import Table
from app.extract.section import Progress, Section

MAX_FIELD_CHARS = 1_000_000
"""A longer field is a quote that was never closed, or no table at all."""

# The sniffer takes time with the square of it: a hostile 16 KB cost 3 s, a hostile 8 KB 0.8 s.
SAMPLE_CHARS = 8 * 1024
DELIMITERS = ",;\t|"
PROGRESS_EVERY_ROWS = 500


def read(path: Path, _limits: Limits) -> Iterator[Section | Progress]:
    """Each row as `column: value; ...` with its number from 1, and a `Progress` in rows every 500 rows.

    Raises:
        DocumentError: `too_large` (a field of more than 1,000,000 characters), `corrupt_file`.
    """
    csv.field_size_limit(MAX_FIELD_CHARS)
    number = 0
    with path.open(encoding=detect_encoding(path), errors="replace", newline="") as file:
        dialect = _dialect(file)
        table = Table()
        try:
            for number, row in enumerate(csv.reader(file, dialect), start=1):
                yield Section(table.text(row), f"row {number}", joins=number > 1)
                if number % PROGRESS_EVERY_ROWS == 0:
                    yield Progress(number, None)
        except csv.Error as exc:
            code = Code.TOO_LARGE if "field larger" in str(exc) else Code.CORRUPT_FILE
            raise DocumentError(code, f"row {number + 1}: {exc}; is a quote never closed?") from exc
    yield Progress(number, number)


def _dialect(file: TextIO) -> type[csv.Dialect]:
    """The dialect of the file's beginning; commas and double quotes if it shows none. Rewinds the file."""
    sample = file.read(SAMPLE_CHARS)
    file.seek(0)
    # Without its last, perhaps incomplete line, which would look like a row with fewer columns.
    whole = sample[: sample.rfind("\n") + 1] or sample
    try:
        dialect = csv.Sniffer().sniff(whole, DELIMITERS)
    except csv.Error:
        return csv.excel
    # The sniffer takes a file in which no doubled quote happens to be near the beginning for one without them.
    dialect.doublequote = True
    return dialect
