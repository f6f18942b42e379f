"""What the demo takes for lost, and what for repeated."""

import pytest

from app.demo.__main__ import main
from app.demo.client import Entry

GOOD = {"ids": {"a"}, "decisions": ["executed", "joined"], "chunks": 2, "stored": 2, "tokens": {"7"}, "runs": 1}


@pytest.mark.parametrize(
    ("change", "is_lost", "repeated"),
    [
        ({}, False, 0),
        ({"runs": 0}, True, 0),
        ({"runs": 2}, False, 1),
        ({"ids": {"a", "b"}, "runs": 2}, False, 1),
        ({"tokens": {"7", "9"}}, False, 1),
        ({"stored": 1}, True, 0),
        ({"positions_ok": False}, True, 0),
        ({"chunks": None}, True, 0),
        ({"chunks": None, "error": "pdf_encrypted"}, False, 0),
        ({"chunks": None, "error": "pdf_encrypted", "runs": 2}, False, 1),
        ({"chunks": None, "error": "pdf_encrypted", "runs": 2, "decisions": ["executed"] * 2}, False, 0),
        ({"chunks": None, "error": "unsupported-media-type", "ids": set(), "decisions": [], "runs": 0}, False, 0),
    ],
)
def test_each_document_is_judged_by_its_effects(change, is_lost, repeated):
    entry = Entry("report.pdf", **{**GOOD, **change})

    assert (entry.is_lost, entry.repeated) == (is_lost, repeated)


@pytest.mark.parametrize(("folder", "told"), [("/nosuch", "No such file or directory"), (__file__, "Not a directory")])
def test_a_folder_that_cannot_be_read_is_one_line_and_2(capsys, folder, told):
    assert main([folder]) == 2

    said = capsys.readouterr()
    assert said.out.splitlines() == [f"{folder} cannot be read: {told}"]
