"""XLSX, row by row (openpyxl, read-only)."""

import warnings
from collections.abc import Iterator
from pathlib import Path

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from app.extract.errors import Code, DocumentError
from app.extract.limits import Limits
from app.extract.outline import MAX_PLACE_CHARS
from app.extract.rows import Table
from app.extract.section import Progress, Section

PROGRESS_EVERY_ROWS = 500


def read(path: Path, _limits: Limits) -> Iterator[Section | Progress]:
    """Each row of each sheet as `column: value; ...`, and a `Progress` in rows every 500 rows.

    Formulas give the value that was last computed and saved. Hidden sheets are read, charts are not.

    Raises:
        DocumentError: `corrupt_file`.
    """
    with warnings.catch_warnings():
        # openpyxl warns of every feature that it will not write back.
        warnings.simplefilter("ignore")
        try:
            workbook = load_workbook(path, read_only=True, data_only=True, keep_links=False)
        except (InvalidFileException, KeyError, ValueError, TypeError, SyntaxError) as exc:
            raise DocumentError(Code.CORRUPT_FILE, f"not a workbook: {exc}") from exc
        done = 0
        try:
            for worksheet in workbook.worksheets:
                # What the file claims as its size may be wrong, and rows would be cut off or padded to it.
                worksheet.reset_dimensions()
                table = Table()
                title = worksheet.title[: MAX_PLACE_CHARS // 2]
                for number, row in enumerate(worksheet.iter_rows(values_only=True), start=1):
                    done += 1
                    yield Section(table.text(row), f"{title}, row {number}", joins=number > 1)
                    if done % PROGRESS_EVERY_ROWS == 0:
                        yield Progress(done, None)
        finally:
            workbook.close()
        yield Progress(done, done)
