"""Documents of every kind that the service reads, written when they are needed."""

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import docx
import openpyxl

from app.demo.pdf import write_pdf

TOPICS = (
    ("Opening hours", "The harbour office is open from seven to four, and to noon on the eve of a holiday."),
    ("Berths", "A berth is kept for two hours after the time that was booked, then it goes to the next in line."),
    ("Fees", "The fee goes by the length of the boat, and boats under six metres pay half of it in winter."),
    ("Water and power", "Each pontoon has a tap and a socket; the meter is read on the day of departure."),
    ("Lost property", "What is found on the quay is kept for ninety days at the desk of the harbour office."),
    ("Storm warnings", "With a storm warning the outer gate is closed, and boats at the mole move to the basin."),
)
DETAILS = (
    "Questions are answered at the desk, by radio on channel twelve, or by letter within one week.",
    "Whoever needs more time says so before noon; the harbour master decides and writes it in the book.",
    "The rule holds for guests and for members alike, and it was last changed by the meeting in spring.",
    "Exceptions are made for the rescue boat, for the ferry, and for ships with a pilot on board.",
)


def write_samples(folder: Path) -> list[Path]:
    """PDF, DOCX, XLSX, CSV, TXT, Markdown and HTML, each with a few pages of text; their paths."""
    makers: dict[str, Callable[[], bytes]] = {
        "handbook.pdf": _pdf,
        "rules.docx": _docx,
        "berths.xlsx": _xlsx,
        "fees.csv": _csv,
        "notice.txt": _txt,
        "manual.md": _markdown,
        "guide.html": lambda: page_html("Guide for guests"),
    }
    paths = []
    for name, make in makers.items():
        path = folder / name
        path.write_bytes(make())
        paths.append(path)
    return paths


def page_html(title: str) -> bytes:
    """A web page with an article."""
    sections = "".join(
        f"<h2>{topic}</h2>" + "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
        for topic, paragraphs in _sections()
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><nav><a href='/'>Start</a></nav><article><h1>{title}</h1>{sections}</article></body></html>"
    ).encode()


def _sections() -> Iterator[tuple[str, list[str]]]:
    for number, (topic, rule) in enumerate(TOPICS):
        details = [DETAILS[(number + step) % len(DETAILS)] for step in range(3)]
        yield topic, [f"{rule} {details[0]}", f"{details[1]} {details[2]}"]


def _pdf() -> bytes:
    pages = []
    for topic, paragraphs in _sections():
        words = " ".join(paragraphs).split()
        lines = [" ".join(words[at : at + 12]) for at in range(0, len(words), 12)]
        pages.append([topic, "", *lines])
    return write_pdf(pages)


def _docx() -> bytes:
    document = docx.Document()
    document.add_heading("Rules of the harbour", level=0)
    for topic, paragraphs in _sections():
        document.add_heading(topic, level=1)
        for paragraph in paragraphs:
            document.add_paragraph(paragraph)
    table = document.add_table(rows=0, cols=2)
    for topic, rule in TOPICS:
        cells = table.add_row().cells
        cells[0].text, cells[1].text = topic, rule
    kept = io.BytesIO()
    document.save(kept)
    return kept.getvalue()


def _xlsx() -> bytes:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Berths")
    sheet.append(["berth", "length in metres", "pontoon", "note"])
    for number in range(1, 41):
        sheet.append([number, 6 + number % 9, "ABCD"[number % 4], TOPICS[number % len(TOPICS)][1]])
    kept = io.BytesIO()
    book.save(kept)
    return kept.getvalue()


def _csv() -> bytes:
    kept = io.StringIO(newline="")
    writer = csv.writer(kept)
    writer.writerow(["boat", "length in metres", "nights", "fee", "note"])
    for number in range(1, 41):
        length = 5 + number % 12
        writer.writerow([f"Boat {number}", length, number % 7 + 1, length * (number % 7 + 1), TOPICS[number % 6][0]])
    return kept.getvalue().encode()


def _txt() -> bytes:
    return "\n\n".join("\n\n".join([topic.upper(), *paragraphs]) for topic, paragraphs in _sections()).encode()


def _markdown() -> bytes:
    parts = ["# Manual"]
    for topic, paragraphs in _sections():
        parts += [f"## {topic}", *paragraphs]
    return "\n\n".join(parts).encode()
