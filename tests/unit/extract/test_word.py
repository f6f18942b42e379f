"""Word documents: order, places, and text in unusual spots."""

import pytest
from docx import Document
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from app.extract.errors import Code, DocumentError
from app.extract.kind import Kind
from app.extract.limits import Limits
from app.extract.parse import parse
from app.extract.section import Progress


@pytest.fixture
def saved(tmp_path):
    def save(document):
        path = tmp_path / "made.docx"
        document.save(str(path))
        return path

    return save


def test_headings_are_the_place_of_what_stands_below_them(saved, chunks_of):
    document = Document()
    document.add_paragraph("before")
    document.add_heading("Install", 1)
    document.add_heading("Linux", 2)
    document.add_paragraph("apt")
    document.add_heading("Use", 1)
    document.add_paragraph("run")

    chunks = chunks_of(saved(document))

    assert [(chunk.place, chunk.text) for chunk in chunks] == [
        ("paragraph 1", "before"),
        ("Install", "Install"),
        ("Install > Linux", "Linux\napt"),
        ("Use", "Use\nrun"),
    ]


def test_paragraphs_and_tables_keep_their_order(saved, chunks_of):
    document = Document()
    document.add_paragraph("one")
    table = document.add_table(2, 2)
    for number, cell in enumerate(cell for row in table.rows for cell in row.cells):
        cell.text = f"cell {number}"
    document.add_paragraph("two")

    chunks = chunks_of(saved(document))

    assert chunks[0].text == "one\ncell 0 | cell 1\ncell 2 | cell 3\ntwo"


def test_a_table_in_a_table_comes_once(saved, chunks_of):
    document = Document()
    cell = document.add_table(1, 2).rows[0].cells[0]
    cell.text = "outer"
    cell.add_table(1, 1).rows[0].cells[0].text = "inner"

    chunks = chunks_of(saved(document))

    assert chunks[0].text == "outer\ninner"


def test_headers_and_footers_of_all_sections_come_once_each(saved, chunks_of):
    document = Document()
    document.sections[0].header.paragraphs[0].text = "top"
    document.sections[0].footer.paragraphs[0].text = "bottom"
    document.add_paragraph("body")
    document.add_section().header.is_linked_to_previous = False
    document.sections[1].header.paragraphs[0].text = "top"

    chunks = chunks_of(saved(document))

    assert [(chunk.place, chunk.text) for chunk in chunks] == [
        ("header", "top"),
        ("paragraph 1", "body"),
        ("footer", "bottom"),
    ]


def test_text_boxes_content_controls_and_insertions_are_read_and_deletions_are_not(saved, chunks_of):
    document = Document()
    compatible = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    box = "<w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p></w:txbxContent>"
    document.element.body.insert(
        0,
        parse_xml(
            f"<w:sdt {nsdecls('w')} {compatible}><w:sdtContent><w:p>"
            "<w:ins><w:r><w:t>added</w:t><w:tab/></w:r></w:ins>"
            "<w:del><w:r><w:delText>removed</w:delText></w:r></w:del>"
            f"<w:r><mc:AlternateContent><mc:Choice Requires='w'>{box}</mc:Choice>"
            f"<mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r>"
            "</w:p></w:sdtContent></w:sdt>"
        ),
    )

    chunks = chunks_of(saved(document))

    assert chunks[0].text == "added\tbox"


NOTES_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
NOTES_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"


def test_footnotes_come_last(saved, chunks_of):
    document = Document()
    document.add_paragraph("body")
    notes = "".join(f"<w:footnote><w:p><w:r><w:t>note {n}</w:t></w:r></w:p></w:footnote>" for n in (1, 2))
    blob = f"<w:footnotes {nsdecls('w')}>{notes}</w:footnotes>".encode()
    part = Part(PackURI("/word/footnotes.xml"), NOTES_TYPE, blob, document.part.package)
    document.part.relate_to(part, NOTES_RELATION)

    chunks = chunks_of(saved(document))

    assert [(chunk.place, chunk.text) for chunk in chunks] == [("paragraph 1", "body"), ("footnotes", "note 1\nnote 2")]


def test_progress_counts_blocks(saved):
    document = Document()
    for number in range(250):
        document.add_paragraph(f"paragraph {number}")

    items = list(parse(saved(document), Kind.DOCX, Limits()))

    assert [item for item in items if isinstance(item, Progress)] == [
        Progress(100, 250),
        Progress(200, 250),
        Progress(250, 250),
    ]


def test_a_document_of_nothing_but_blanks_has_no_text(saved, chunks_of):
    document = Document()
    document.add_paragraph("  \t ")

    with pytest.raises(DocumentError) as failure:
        chunks_of(saved(document))

    assert failure.value.code is Code.NO_TEXT


def test_a_workbook_read_as_word_is_corrupt(tmp_path, make_zip):
    path = make_zip("a.docx", {"[Content_Types].xml": "<Types/>", "x.xml": "<x/>"})

    with pytest.raises(DocumentError) as failure:
        list(parse(path, Kind.DOCX, Limits()))

    assert failure.value.code is Code.CORRUPT_FILE
