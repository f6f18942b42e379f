"""Archives that would harm their reader are refused before a parser opens them."""

import io
import struct
import zipfile

import pytest
from docx import Document

from app.extract import archive
from app.extract.errors import Code, DocumentError
from app.extract.kind import Kind, verify
from app.extract.limits import Limits
from app.extract.parse import parse

MEGABYTE = 1024 * 1024


def refusal(path):
    with pytest.raises(DocumentError) as failure:
        archive.check(path)
    return failure.value


def zipped(members):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as container:
        for name, content in members.items():
            container.writestr(name, content)
    return held.getvalue()


def word_with(tmp_path, member, content):
    """A Word document in which one member is replaced."""
    whole, path = tmp_path / "whole.docx", tmp_path / "changed.docx"
    document = Document()
    document.add_paragraph("hello")
    document.save(str(whole))
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, content if name == member else source.read(name))
    return path


def test_an_ordinary_document_passes(tmp_path):
    path = word_with(tmp_path, "", b"")

    archive.check(path)


def test_a_member_that_packs_a_thousandfold_is_a_bomb(make_zip):
    path = make_zip("a.docx", {"word/document.xml": b" " * (20 * MEGABYTE)})

    error = refusal(path)

    assert error.code is Code.ZIP_BOMB
    assert "unpacks to 1,0" in error.detail


def test_more_than_400_mb_in_all_is_a_bomb(tmp_path):
    path = tmp_path / "a.docx"
    # Stored, with a size in the directory that the member does not have: nothing is unpacked to see this.
    content = zipped({str(number): b"x" for number in range(5)})
    huge = struct.pack("<L", 90 * MEGABYTE)
    parts = content.split(b"PK\x01\x02")
    path.write_bytes(parts[0] + b"".join(b"PK\x01\x02" + part[:20] + huge + part[24:] for part in parts[1:]))

    error = refusal(path)

    assert error.code is Code.ZIP_BOMB
    assert "471,859,200 bytes" in error.detail


def test_more_than_ten_thousand_members_is_a_bomb(make_zip):
    path = make_zip("a.docx", {str(number): b"" for number in range(10_001)})

    assert refusal(path).code is Code.ZIP_BOMB


def test_a_directory_that_needs_zip64_is_a_bomb(make_zip):
    path = make_zip("a.docx", {"a.xml": "<a/>"})
    content = path.read_bytes()
    at = content.rindex(b"PK\x05\x06")
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    path.write_bytes(content[:at] + locator + content[at:])

    assert refusal(path).code is Code.ZIP_BOMB


def test_a_false_size_in_the_directory_is_found_by_the_checksum(make_zip):
    path = make_zip("a.docx", {"a.bin": b"x" * 100_000})
    path.write_bytes(path.read_bytes().replace(struct.pack("<L", 100_000), struct.pack("<L", 10)))

    assert refusal(path).code is Code.CORRUPT_FILE


def test_an_archive_in_an_archive_counts_with_what_it_unpacks_to(make_zip):
    inner = zipped({"x.bin": b" " * (20 * MEGABYTE)})
    path = make_zip("a.docx", {"word/embeddings/book.xlsx": inner})

    assert refusal(path).code is Code.ZIP_BOMB


def test_archives_in_archives_in_archives_are_a_bomb(make_zip):
    path = make_zip("a.docx", {"a.zip": zipped({"b.zip": zipped({"c.txt": "deep"})})})

    error = refusal(path)

    assert error.code is Code.ZIP_BOMB
    assert "archives of archives" in error.detail


def test_an_embedded_workbook_passes(make_zip):
    path = make_zip("a.docx", {"word/embeddings/book.xlsx": zipped({"xl/workbook.xml": "<w/>"})})

    archive.check(path)


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol">'
    + "".join(f'<!ENTITY {n} "{f"&{p};" * 10}">' for p, n in zip("abcdefghi", "bcdefghij", strict=True))
    + "]><w:document>&j;</w:document>"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("member", ["word/document.xml", "word/styles.xml", "[Content_Types].xml"])
def test_a_billion_laughs_are_refused_by_their_first_line(tmp_path, member, encoding):
    path = word_with(tmp_path, member, LAUGHS.encode(encoding))

    with pytest.raises(DocumentError) as failure:
        list(parse(path, Kind.DOCX, Limits()))

    assert failure.value.code is Code.CORRUPT_FILE
    assert "document type declaration" in failure.value.detail


@pytest.mark.parametrize("kind", [Kind.DOCX, Kind.XLSX])
@pytest.mark.parametrize("content", [b"PK\x03\x04", b"PK\x03\x04" + bytes(5000), b"PK\x05\x06" + bytes(17)])
def test_bytes_that_are_no_archive_are_corrupt(write, kind, content):
    path = write("a.zip", content)

    with pytest.raises(DocumentError) as failure:
        list(parse(path, kind, Limits()))

    assert failure.value.code is Code.CORRUPT_FILE


@pytest.mark.parametrize("part", [0.1, 0.5, 0.98])
def test_a_truncated_word_document_is_corrupt(data_dir, write, part):
    whole = (data_dir / "docx" / "par-known-paragraphs.docx").read_bytes()
    path = write("cut.docx", whole[: int(len(whole) * part)])

    with pytest.raises(DocumentError) as failure:
        list(parse(path, Kind.DOCX, Limits()))

    assert failure.value.code is Code.CORRUPT_FILE


def test_a_member_with_a_flipped_byte_is_corrupt(data_dir, write):
    content = bytearray((data_dir / "docx" / "par-known-paragraphs.docx").read_bytes())
    content[len(content) // 3] ^= 0xFF
    path = write("flipped.docx", bytes(content))

    with pytest.raises(DocumentError) as failure:
        list(parse(path, Kind.DOCX, Limits()))

    assert failure.value.code is Code.CORRUPT_FILE


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_method_that_office_does_not_use_is_corrupt(tmp_path, method):
    path = tmp_path / "a.docx"
    with zipfile.ZipFile(path, "w", method) as container:
        container.writestr("[Content_Types].xml", "<Types/>")

    assert refusal(path).code is Code.CORRUPT_FILE
    verify(path, Kind.DOCX)


def test_an_encrypted_archive_is_corrupt(make_zip):
    path = make_zip("a.docx", {"a.bin": "x"})
    content = path.read_bytes().replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01")
    path.write_bytes(content.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"))

    assert refusal(path).code is Code.CORRUPT_FILE
