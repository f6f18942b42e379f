"""Plain text, paragraph by paragraph."""

from collections.abc import Iterator
from pathlib import Path

from app.extract.charset import detect_encoding
from app.extract.limits import Limits
from app.extract.section import Progress, Section

MAX_LINE_CHARS = 8192
"""A longer line is read in pieces, so that a file which is one line takes no more memory than another."""

MAX_PARAGRAPH_CHARS = 8192
PROGRESS_EVERY_LINES = 1000


def read(path: Path, _limits: Limits) -> Iterator[Section | Progress]:
    """Each paragraph with the number of its first line, and a `Progress` in lines every 1,000 lines.

    Raises:
        DocumentError: `corrupt_file` (binary data).
    """
    held: list[str] = []
    held_chars = 0
    start = number = 1
    for number, line in lines(path):
        if held and (not line.strip() or held_chars > MAX_PARAGRAPH_CHARS):
            yield Section("".join(held), f"line {start}", joins=start > 1)
            held, held_chars = [], 0
        if line.strip():
            start = start if held else number
            held.append(line)
            held_chars += len(line)
        if number % PROGRESS_EVERY_LINES == 0 and line.endswith("\n"):
            yield Progress(number, None)
    if held:
        yield Section("".join(held), f"line {start}", joins=start > 1)
    yield Progress(number, number)


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Each line with its number from 1; a line of more than 8,192 characters in pieces, cut between words."""
    number, carried = 1, ""
    with path.open(encoding=detect_encoding(path), errors="replace") as file:
        while piece := file.readline(MAX_LINE_CHARS):
            piece = carried + piece
            carried = ""
            is_end = piece.endswith("\n")
            if not is_end:
                cut = max(piece.rfind(" "), piece.rfind("\t")) + 1
                # Without a blank in it there is no better cut than the one the limit makes.
                piece, carried = (piece[:cut], piece[cut:]) if cut > 0 else (piece, "")
            yield number, piece
            number += is_end
    if carried:
        yield number, carried
