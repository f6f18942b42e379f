"""Where a command's answer goes: tables and lines for a person, one JSON document for a program."""

import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from queues.inspection import printable

STYLES = {"good": "32", "warning": "33", "bad": "31", "strong": "1", "faint": "2"}
_STYLED = re.compile(r"(\x1b\[(?:0|1|2|31|32|33)m)")


class Terminal:
    """Writes to standard output; colours only on a terminal, and never where NO_COLOR is set.

    Args:
        is_json: whether `document` is what is printed, and nothing else.
        out: standard output when None.
    """

    def __init__(
        self, *, is_json: bool, out: TextIO | None = None, environment: Mapping[str, str] = os.environ
    ) -> None:
        self.is_json = is_json
        self._out = out if out is not None else sys.stdout
        self.is_interactive = self._out.isatty() and sys.stdin is not None and sys.stdin.isatty()
        self.has_colour = self._out.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"

    def document(self, content: Any) -> None:
        """Print a JSON document."""
        self._out.write(json.dumps(content, indent=2, ensure_ascii=True) + "\n")

    def line(self, text: str = "") -> None:
        """Print one line."""
        encoding = self._out.encoding or "utf-8"
        # A record may hold any text, and a terminal obeys some: only our own styles go through.
        parts = _STYLED.split(text) if self.has_colour else [text]
        safe = "".join(part if i % 2 else printable(part) for i, part in enumerate(parts))
        self._out.write(safe.encode(encoding, "backslashreplace").decode(encoding) + "\n")

    def styled(self, text: str, style: str) -> str:
        """The text in the style, where colours are on."""
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.has_colour else text

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table; a frame where `rich` is installed and a terminal shows it, else aligned columns."""
        widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
        # Too narrow a frame would leave out what cannot be guessed, the end of an id.
        is_wide = sum(widths) + 3 * len(widths) <= shutil.get_terminal_size().columns
        if self.has_colour and is_wide and importlib.util.find_spec("rich") is not None:
            self._rich_table(columns, rows)
            return
        for row in (columns, *rows):
            self.line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def fields(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Print names with their values, aligned."""
        width = max(len(name) for name, _ in pairs)
        for name, value in pairs:
            self.line(f"  {self.styled(name.ljust(width), 'faint')}  {value}")

    def ask(self, question: str) -> bool:
        """Whether the person at the terminal says yes."""
        self._out.write(f"{printable(question)} [y/N] ")
        self._out.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def _rich_table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        console = importlib.import_module("rich.console").Console(file=self._out)
        table = importlib.import_module("rich.table").Table(box=importlib.import_module("rich.box").SIMPLE_HEAD)
        text = importlib.import_module("rich.text").Text
        for column in columns:
            table.add_column(column, no_wrap=True)
        for row in rows:
            table.add_row(*(text(printable(cell)) for cell in row))
        console.print(table)
