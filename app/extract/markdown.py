"""Markdown, with the headings above a paragraph as its place."""

import re
from collections.abc import Iterator
from pathlib import Path

from app.extract.limits import Limits
from app.extract.outline import Outline
from app.extract.plain import MAX_PARAGRAPH_CHARS, PROGRESS_EVERY_LINES, lines
from app.extract.section import Progress, Section

# CommonMark 0.31, sections 4.2 (ATX), 4.3 (setext) and 4.5 (fences).
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*\n?\Z")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*\n?\Z")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_NO_TITLE = re.compile(r" {0,3}(?:[-*+>|]|\d{1,9}[.)]|    |\t)")


class _Block:
    """The lines since the last blank line or heading."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.chars = 0
        self.start = 1

    def add(self, number: int, line: str) -> None:
        if not self.lines:
            self.start = number
        self.lines.append(line)
        self.chars += len(line)

    def take(self) -> str:
        text = "".join(self.lines)
        self.lines, self.chars = [], 0
        return text


def read(path: Path, _limits: Limits) -> Iterator[Section | Progress]:
    """Each paragraph as written, and a `Progress` in lines; a `#` inside a code fence is no heading.

    The place is the path of headings, or the line number above the first heading.

    Raises:
        DocumentError: `corrupt_file` (binary data).
    """
    outline = Outline()
    block = _Block()
    fence = ""
    follows = False
    number = 0
    for number, line in lines(path):
        level, title = (0, "") if fence else _heading(line, block)
        fence = _fence_after(line, fence)
        if level and title is not None:
            is_setext = bool(block.lines) and not line.lstrip().startswith("#")
            heading = (block.take() if is_setext else "") + line
            yield from _section(block, outline, joins=follows)
            yield Section(heading, outline.enter(level, title) or f"line {number}")
            follows = True
        else:
            if not line.strip() or block.chars > MAX_PARAGRAPH_CHARS:
                sections = list(_section(block, outline, joins=follows))
                yield from sections
                follows = follows or bool(sections)
            if line.strip():
                block.add(number, line)
        if number % PROGRESS_EVERY_LINES == 0:
            yield Progress(number, None)
    yield from _section(block, outline, joins=follows)
    yield Progress(number, number)


def _section(block: _Block, outline: Outline, *, joins: bool) -> Iterator[Section]:
    if block.lines:
        yield Section(block.take(), outline.place or f"line {block.start}", joins=joins)


def _heading(line: str, block: _Block) -> tuple[int, str]:
    """Level and title if the line makes a heading, of itself or of the one line above it; else level 0."""
    atx = _ATX.match(line)
    if atx:
        return len(atx.group(1)), atx.group(2) or ""
    setext = _SETEXT.match(line)
    if setext and len(block.lines) == 1 and not _NO_TITLE.match(block.lines[0]):
        return (1 if setext.group(1).startswith("=") else 2), block.lines[0]
    return 0, ""


def _fence_after(line: str, fence: str) -> str:
    """The fence that is open behind the line: its opening marks, or nothing."""
    found = _FENCE.match(line)
    if not found:
        return fence
    marks = found.group(1)
    if not fence:
        return marks
    closes = marks.startswith(fence) and not line.strip(" \t\n`~")
    return "" if closes else fence
