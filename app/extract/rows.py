"""From a table's rows to text that says what each value is."""

from collections.abc import Sequence
from datetime import date, datetime, time

MAX_NAME_CHARS = 60

# A table may stand below a title and some notes; further down a row of words is data.
HEADER_WITHIN_ROWS = 20


class Table:
    """Turns rows into text; the first row made of two or more different words names the columns."""

    def __init__(self) -> None:
        self._names: list[str] | None = None
        self._seen_rows = 0

    def text(self, row: Sequence[object]) -> str:
        """The row as `name: value; name: value`, or as `value | value` up to the row of names.

        Empty cells are left out; a row of empty cells gives an empty text.
        """
        values = [cell_text(value) for value in row]
        if not any(values):
            return ""
        if self._names is None:
            self._seen_rows += 1
            if _are_names(row, values):
                self._names = [value[:MAX_NAME_CHARS] for value in values]
            elif self._seen_rows >= HEADER_WITHIN_ROWS:
                self._names = []
            return " | ".join(filter(None, values))
        return "; ".join(self._named(column, value) for column, value in enumerate(values) if value)

    def _named(self, column: int, value: str) -> str:
        name = self._names[column] if self._names and column < len(self._names) else ""
        return f"{name}: {value}" if name else value


def cell_text(value: object) -> str:
    """A cell's value as a reader would write it: ISO dates, whole floats without `.0`, TRUE and FALSE."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        is_day = value.time() == time()
        return value.date().isoformat() if is_day else value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value).strip()


def _are_names(row: Sequence[object], values: list[str]) -> bool:
    given = [value for value in values if value]
    are_words = all(isinstance(cell, str) for cell, value in zip(row, values, strict=True) if value)
    return are_words and 2 <= len(given) == len(set(given)) and not any(map(_is_number, given))


def _is_number(value: str) -> bool:
    try:
        float(value.replace(",", "."))
    except ValueError:
        return False
    return True
