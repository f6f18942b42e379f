"""What the tests of the parser's process share."""

import os
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.extract import stop_children

_strangers: set[int] = set()
"""Parsers that other tests' threads of this process keep warm."""


def child_pids() -> set[int]:
    """The parser processes that this test has started and that still run."""
    listed = " ".join(tasks.read_text() for tasks in Path("/proc/self/task").glob("*/children"))
    return {int(pid) for pid in listed.split() if is_parser(int(pid))} - _strangers


def is_parser(pid: int) -> bool:
    """Whether the process lives and is a parser, neither a zombie nor another that got its number."""
    try:
        return b"app.extract.child" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def wait_until(is_true: Callable[[], bool], *, within_s: float = 60.0) -> bool:
    """Whether the condition came true in time; asks every 10 ms."""
    deadline = time.monotonic() + within_s
    while not is_true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture(autouse=True)
def no_child_is_left() -> Iterator[None]:
    """Each test starts without a parser process and leaves none."""
    if not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        pytest.skip("these tests look at processes through Linux's /proc")
    stop_children()
    _strangers.clear()
    # What this thread just stopped ends at once; what is left belongs to others.
    wait_until(lambda: not child_pids(), within_s=2.0)
    _strangers.update(child_pids())
    yield
    stop_children()
    assert wait_until(lambda: not child_pids()), "a parser process was left behind"


@pytest.fixture
def slow_html(tmp_path: Path) -> Path:
    """A page that takes lxml and Beautiful Soup some seconds and more than a hundred MB."""
    path = tmp_path / "slow.html"
    path.write_text("<html><body>" + "<p>word <b>and</b> word</p>" * 120_000)
    return path


@pytest.fixture
def long_pdf(tmp_path: Path) -> Callable[..., Path]:
    """Writes a PDF whose pages, unpacked, take 10 KB each and in the file some hundred bytes."""

    def make(pages: int, bulk_bytes: int = 10_000, words: int = 0) -> Path:
        path = tmp_path / f"long-{pages}.pdf"
        path.write_bytes(_pdf(pages, bulk_bytes, b" word" * words))
        return path

    return make


def _pdf(pages: int, bulk_bytes: int, more: bytes) -> bytes:
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(pages))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number in range(pages):
        content = b"%" + b"x" * bulk_bytes + b"\nBT /F1 12 Tf 72 720 Td (page text %d%b) Tj ET" % (number, more)
        packed = zlib.compress(content)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % (5 + 2 * number)
        )
        head = b"<< /Filter /FlateDecode /Length %d >>" % len(packed)
        objects.append(head + b"\nstream\n" + packed + b"\nendstream")
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)
