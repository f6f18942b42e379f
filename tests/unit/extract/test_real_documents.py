"""Every document of the shared data folder, with what is known of it."""

import pytest

from app.extract.errors import Code, DocumentError
from app.extract.kind import HEAD_BYTES, detect, verify
from app.extract.limits import Limits
from app.extract.parse import parse
from app.extract.section import Progress

PAGES_AND_CHARS = {
    "GeoBase_NHNC1_Data_Model_UML_EN.pdf": (19, 22_600),
    "Seige_of_Vicksburg_Sample_OCR.pdf": (6, 12_600),
    "pdflatex-outline.pdf": (4, 7_700),
    "crazyones.pdf": (1, 898),
    "attachment.pdf": (1, 898),
    "multilang.pdf": (1, 128),
    "owner-password.pdf": (1, 38),
    "two-different-pages.pdf": (2, 2),
    "form.pdf": (1, 5),
    "jpeg.pdf": (1, 24),
    "issue-301.pdf": (1, 144),
}
FAILING = {
    "pdf/user-password.pdf": Code.PDF_ENCRYPTED,
    "pdf/crazyones-encrypted-256.pdf": Code.PDF_ENCRYPTED,
    "pdf/git.pdf": Code.NO_TEXT_LAYER,
    "docx/doc-default.docx": Code.NO_TEXT,
}
WORDS = {
    "blk-paras-and-tables.docx": "Lorem ipsum dolor sit amet",
    "comments-rich-para.docx": "Some text worthy of note.",
    "hdr-header-footer.docx": "Header for section-1",
    "par-hyperlinks.docx": "Three hyperlinks: the first one here, the second one, and the third.",
    "par-known-paragraphs.docx": "Heading Paragraph\nNormal paragraph",
}


@pytest.mark.parametrize("name", PAGES_AND_CHARS)
def test_a_real_pdf_gives_all_its_pages(data_dir, name):
    path = data_dir / "pdf" / name
    pages, chars = PAGES_AND_CHARS[name]

    items = list(parse(path, detect(name, path.read_bytes()[:HEAD_BYTES]), Limits()))

    chunks = [item for item in items if not isinstance(item, Progress)]
    assert [item for item in items if isinstance(item, Progress)] == [Progress(n, pages) for n in range(1, pages + 1)]
    assert sum(len(chunk.text) for chunk in chunks) == pytest.approx(chars, rel=0.01)
    assert chunks[-1].place == f"page {pages}"


@pytest.mark.parametrize("name", WORDS)
def test_a_real_word_document_gives_its_text(data_dir, chunks_of, name):
    path = data_dir / "docx" / name
    verify(path, detect(name, path.read_bytes()[:HEAD_BYTES]))

    chunks = chunks_of(path)

    assert WORDS[name] in "\n".join(chunk.text for chunk in chunks)


@pytest.mark.parametrize("name", FAILING)
def test_a_real_document_that_cannot_be_read_says_why(data_dir, chunks_of, name):
    with pytest.raises(DocumentError) as failure:
        chunks_of(data_dir / name)

    assert failure.value.code is FAILING[name]


def test_no_real_document_is_left_out_of_these_tests(data_dir):
    named = set(PAGES_AND_CHARS) | set(WORDS) | {name.rpartition("/")[2] for name in FAILING}

    assert {path.name for path in data_dir.glob("*/*.*")} == named


def test_tables_come_in_the_order_of_the_document(data_dir, chunks_of):
    chunks = chunks_of(data_dir / "docx" / "blk-paras-and-tables.docx")

    body = next(chunk.text for chunk in chunks if "Lorem" in chunk.text)
    assert (chunks[0].place, chunks[-1].place) == ("header", "footer")
    assert body.index("Lorem ipsum") < body.index("Donec semper")


def test_several_scripts_on_one_page_survive(data_dir, chunks_of):
    text = chunks_of(data_dir / "pdf" / "multilang.pdf")[0].text

    assert "Hello World" in text
    assert "مرحبا" in text
