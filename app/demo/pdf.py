"""The smallest PDF that carries text: pages of lines in Helvetica."""

from collections.abc import Sequence

LINE_POINTS = 14
FONT_POINTS = 11
PAGE = (595, 842)
"""A4 in points."""
MARGIN_POINTS = 60


def write_pdf(pages: Sequence[Sequence[str]]) -> bytes:
    """A PDF 1.4 file.

    Args:
        pages: the lines of each; characters of Latin-1.

    Source: ISO 32000-1, 7.5 (file structure) and 9.4 (text objects).
    """
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, lines in enumerate(pages):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {PAGE[0]} {PAGE[1]}] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * number} 0 R >>".encode()
        )
        text = _text(lines)
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text))
    return _file(objects)


def _text(lines: Sequence[str]) -> bytes:
    shown = b"".join(b"(%s) Tj T*\n" % _escaped(line) for line in lines)
    start = f"BT /F1 {FONT_POINTS} Tf {LINE_POINTS} TL {MARGIN_POINTS} {PAGE[1] - MARGIN_POINTS} Td\n"
    return start.encode() + shown + b"ET"


def _escaped(line: str) -> bytes:
    for character in "\\()":
        line = line.replace(character, f"\\{character}")
    return line.encode("latin-1", "replace")


def _file(objects: Sequence[bytes]) -> bytes:
    body = b"%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    head = b"xref\n0 %d\n0000000000 65535 f \n" % size
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(body))
    return body + head + table + trailer
