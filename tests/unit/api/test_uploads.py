"""The names of uploads, and what crashes leave behind."""

import os

import pytest

from app.api.errors import ProblemError
from app.api.uploads import STALE_S, clean_name, sweep


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\report.pdf", "report.pdf"),
        ("a/b\\c.txt", "c.txt"),
        ("a/", "a"),
        ("re\r\nport\x00.pdf", "report.pdf"),
        ("re\u202eport.pdf", "report.pdf"),
        ("cafe\u0301.txt", "caf\u00e9.txt"),
        ("  spaced .md ", "spaced .md"),
        ("x" * 500 + ".docx", "x" * 195 + ".docx"),
    ],
)
def test_only_a_files_own_name_is_kept(sent, kept):
    assert clean_name(sent) == kept


@pytest.mark.parametrize("sent", ["", "..", "/", "\x00", "..."])
def test_a_file_without_a_name_is_refused(sent):
    with pytest.raises(ProblemError):
        clean_name(sent)


def test_only_old_drafts_are_swept(tmp_path):
    incoming = tmp_path / ".incoming"
    incoming.mkdir()
    old, new = incoming / "old.part", incoming / "new.part"
    for draft in (old, new):
        draft.write_bytes(b"half")
    long_ago = new.stat().st_mtime - STALE_S - 1
    os.utime(old, (long_ago, long_ago))

    removed = sweep(tmp_path)

    assert (removed, [path.name for path in incoming.iterdir()]) == (1, ["new.part"])


def test_sweeping_a_folder_that_is_not_there_does_nothing(tmp_path):
    assert sweep(tmp_path / "none") == 0
