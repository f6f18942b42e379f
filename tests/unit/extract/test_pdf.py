"""PDFs that are damaged, hostile or too long."""

import zlib

import pypdf
import pytest

from app.extract.errors import Code, DocumentError
from app.extract.kind import Kind
from app.extract.limits import Limits
from app.extract.parse import parse


def test_each_page_is_a_place(make_pdf, chunks_of):
    path = make_pdf(["first", "", "third"])

    chunks = chunks_of(path)

    assert [(chunk.text, chunk.place) for chunk in chunks] == [("first", "page 1"), ("third", "page 3")]


def test_two_thousand_and_one_pages_are_refused_before_a_page_is_read(make_pdf):
    path = make_pdf(["text"] * 2001)

    with pytest.raises(DocumentError) as failure:
        next(parse(path, Kind.PDF, Limits()))

    assert failure.value.code is Code.TOO_MANY_PAGES
    assert "2,001 pages" in failure.value.detail


def test_two_thousand_pages_are_read(make_pdf, chunks_of):
    path = make_pdf(["text"] * 2000)

    assert len(chunks_of(path)) == 2000


def test_a_false_page_count_does_not_pass_the_limit(make_pdf):
    path = make_pdf(["text"] * 30)
    path.write_bytes(path.read_bytes().replace(b"/Count 30", b"/Count 01"))

    with pytest.raises(DocumentError) as failure:
        list(parse(path, Kind.PDF, Limits(max_pages=20)))

    assert failure.value.code is Code.TOO_MANY_PAGES


@pytest.mark.parametrize("part", [0.01, 0.5, 0.99])
def test_a_truncated_pdf_is_corrupt(data_dir, write, chunks_of, part):
    whole = (data_dir / "pdf" / "GeoBase_NHNC1_Data_Model_UML_EN.pdf").read_bytes()
    path = write("cut.pdf", whole[: int(len(whole) * part)])

    with pytest.raises(DocumentError) as failure:
        chunks_of(path)

    assert failure.value.code is Code.CORRUPT_FILE


def test_a_pdf_without_pages_is_corrupt(make_pdf, chunks_of):
    path = make_pdf([])

    with pytest.raises(DocumentError) as failure:
        chunks_of(path)

    assert failure.value.code is Code.CORRUPT_FILE


def test_a_compressed_stream_that_unpacks_to_80_mb_is_a_bomb(make_pdf, tmp_path, chunks_of):
    path = tmp_path / "bomb.pdf"
    stream = zlib.compress(b" " * 80_000_000)
    plain = make_pdf(["text"]).read_bytes()
    start, end = plain.index(b"<< /Length"), plain.index(b"\nendstream")
    head = b"<< /Filter /FlateDecode /Length %d >>\nstream\n" % len(stream)
    path.write_bytes(plain[:start] + head + stream + plain[end:])

    with pytest.raises(DocumentError) as failure:
        chunks_of(path)

    assert failure.value.code is Code.ZIP_BOMB
    assert "page 1" in failure.value.detail


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_a_password_of_the_owner_alone_does_not_close_a_pdf(make_pdf, tmp_path, chunks_of, algorithm):
    path = tmp_path / "owner.pdf"
    writer = pypdf.PdfWriter(clone_from=make_pdf(["for everyone"]))
    writer.encrypt(user_password="", owner_password="secret", algorithm=algorithm)
    writer.write(path)

    chunks = chunks_of(path)

    assert [chunk.text for chunk in chunks] == ["for everyone"]


def test_more_text_than_the_limit_is_too_large(make_pdf):
    path = make_pdf(["word " * 100] * 30)

    with pytest.raises(DocumentError) as failure:
        list(parse(path, Kind.PDF, Limits(max_chars=5000)))

    assert failure.value.code is Code.TOO_LARGE
