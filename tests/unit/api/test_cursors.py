"""Cursors: only ours, only unchanged, only in their own list."""

import stat

import pytest

from app.api.cursors import CursorSigner, open_signer
from app.api.errors import ProblemError
from app.settings import Settings

SECRET = b"s" * 32


def test_a_cursor_gives_its_position_back():
    signer = CursorSigner(SECRET)

    assert signer.read("tasks", signer.sign("tasks", "2026-01-01|é")) == "2026-01-01|é"


def test_no_changed_character_is_accepted():
    signer = CursorSigner(SECRET)
    cursor = signer.sign("tasks", "position")

    for place, letter in enumerate(cursor[:-1]):
        changed = cursor[:place] + ("A" if letter != "A" else "B") + cursor[place + 1 :]
        with pytest.raises(ProblemError) as refusal:
            signer.read("tasks", changed)
        assert refusal.value.problem.status == 400


@pytest.mark.parametrize("cursor", ["", "A", "====", "not base64!", "é", "A" * 1000, "\x00"])
def test_what_is_no_cursor_is_refused(cursor):
    with pytest.raises(ProblemError):
        CursorSigner(SECRET).read("tasks", cursor)


def test_another_lists_cursor_is_refused():
    signer = CursorSigner(SECRET)

    with pytest.raises(ProblemError):
        signer.read("tenant-b|tasks", signer.sign("tenant-a|tasks", "1"))


def test_another_services_cursor_is_refused():
    with pytest.raises(ProblemError):
        CursorSigner(SECRET).read("tasks", CursorSigner(b"t" * 32).sign("tasks", "1"))


def test_the_secret_is_made_once_and_only_its_owner_reads_it(tmp_path):
    settings = Settings(data_dir=tmp_path / "data")
    cursor = open_signer(settings).sign("tasks", "1")

    assert open_signer(settings).read("tasks", cursor) == "1"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()] == [0o600]


def test_processes_with_the_same_secret_key_read_each_others_cursors(tmp_path):
    one = Settings(data_dir=tmp_path / "one", secret_key="k" * 32)
    two = Settings(data_dir=tmp_path / "two", secret_key="k" * 32)

    assert open_signer(two).read("tasks", open_signer(one).sign("tasks", "1")) == "1"
