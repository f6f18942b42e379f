"""Workbooks and CSV files: each row says what its values are."""

import csv
from datetime import date, datetime, time

import pytest
from openpyxl import Workbook

from app.extract.errors import Code, DocumentError
from app.extract.kind import Kind
from app.extract.limits import Limits
from app.extract.parse import parse
from app.extract.rows import Table
from app.extract.section import Progress


@pytest.fixture
def workbook(tmp_path):
    def save(sheets):
        book = Workbook()
        book.remove(book.active)
        for title, rows in sheets.items():
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(row)
        path = tmp_path / "made.xlsx"
        book.save(path)
        return path

    return save


def test_rows_carry_their_column_names_and_sheets_are_places(workbook, chunks_of):
    path = workbook(
        {
            "Prices": [["Item", "Price", "Since"], ["Tea", 3.0, date(2026, 1, 2)], ["Cake", 4.5, None]],
            "Staff": [["Name", "Active"], ["Ada", True]],
        }
    )

    chunks = chunks_of(path)

    assert [(chunk.place, chunk.text) for chunk in chunks] == [
        ("Prices, row 1", "Item | Price | Since\nItem: Tea; Price: 3; Since: 2026-01-02\nItem: Cake; Price: 4.5"),
        ("Staff, row 1", "Name | Active\nName: Ada; Active: TRUE"),
    ]


def test_fifty_thousand_rows_are_all_read(tmp_path):
    path = tmp_path / "long.xlsx"
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Log")
    sheet.append(["Id", "Word"])
    for number in range(50_000):
        sheet.append([number, f"w{number}"])
    book.save(path)

    items = list(parse(path, Kind.XLSX, Limits()))

    text = "\n".join(item.text for item in items if not isinstance(item, Progress))
    lines = text.splitlines()
    assert len(lines) == 50_001
    assert lines[-1] == "Id: 49999; Word: w49999"
    assert items[-1] == Progress(50_001, 50_001)
    assert sum(isinstance(item, Progress) for item in items) == 101


def test_a_workbook_of_empty_sheets_has_no_text(workbook, chunks_of):
    with pytest.raises(DocumentError) as failure:
        chunks_of(workbook({"Empty": []}))

    assert failure.value.code is Code.NO_TEXT


@pytest.mark.parametrize(
    ("delimiter", "quoting", "lineterminator", "encoding"),
    [
        (";", csv.QUOTE_ALL, "\r\n", "utf-8-sig"),
        ("\t", csv.QUOTE_MINIMAL, "\n", "utf-16"),
        ("|", csv.QUOTE_MINIMAL, "\r", "cp1252"),
        (",", csv.QUOTE_NONNUMERIC, "\n", "utf-8"),
    ],
)
def test_an_odd_dialect_is_recognised(tmp_path, chunks_of, delimiter, quoting, lineterminator, encoding):
    path = tmp_path / "odd.csv"
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator=lineterminator)
        writer.writerow(["Naïve name", "Remark", "Count"])
        for number in range(5):
            writer.writerow([f"Zoë {number}", f'says "hi{delimiter} you"\nand more', number])

    chunks = chunks_of(path)

    assert 'Naïve name: Zoë 4; Remark: says "hi' in chunks[0].text
    assert f'{delimiter} you"\nand more; Count: 4' in chunks[0].text


def test_a_csv_of_one_column_is_read(write, chunks_of):
    chunks = chunks_of(write("one.csv", "apple\npear\nplum\n"))

    assert chunks[0].text == "apple\npear\nplum"


def test_a_field_of_more_than_a_million_characters_is_too_large(write, chunks_of):
    path = write("open.csv", 'a,b\n1,"' + "x,y\n" * 300_000)

    with pytest.raises(DocumentError) as failure:
        chunks_of(path)

    assert failure.value.code is Code.TOO_LARGE
    assert "row 2" in failure.value.detail


def test_long_rows_are_cut_and_keep_their_row(write, chunks_of):
    path = write("long.csv", f"name,text\na,{'word ' * 600}\nb,short\n")

    chunks = chunks_of(path)

    assert [chunk.place for chunk in chunks] == ["row 1", "row 2", "row 2", "row 3"]
    assert chunks[-1].text == "name: b; text: short"


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (["Tea", "3"], "Tea | 3"),
        ([1, 2], "1 | 2"),
        (["only one", None], "only one"),
        ([None, ""], ""),
        (["same", "same"], "same | same"),
    ],
)
def test_a_row_that_names_nothing_is_told_as_it_is(row, text):
    table = Table()

    first, second = table.text(row), table.text(["x", 7])

    assert (first, second) == (text, "x | 7")


def test_values_are_told_as_a_reader_would_write_them():
    row = [datetime(2026, 5, 4, 3, 2), datetime(2026, 5, 4), time(7, 30), 1e15, 0.1, False, 0]  # noqa: DTZ001

    text = Table().text(row)

    assert text == "2026-05-04 03:02:00 | 2026-05-04 | 07:30:00 | 1000000000000000 | 0.1 | FALSE | 0"
