import os

import pytest

from app.stores.errors import UploadPathError
from app.stores.uploads import Uploads


@pytest.fixture
def uploads(tmp_path):
    root = tmp_path / "uploads"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    return Uploads(root)


def place(uploads, path, age_s=0):
    file = uploads.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("text")
    os.utime(file, (1_000_000 - age_s, 1_000_000 - age_s))
    return file


HOSTILE = [
    "",
    ".",
    "..",
    "../secret.txt",
    "a/../../secret.txt",
    "a/../b.txt",
    "..\\secret.txt",
    "/etc/passwd",
    "a\x00.txt",
    "a\nb.txt",
    "\udcff.txt",
    "x" * 2000,
    ".incoming/draft.part",
    "a/.hidden",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_path_is_refused(uploads, path):
    with pytest.raises(UploadPathError):
        uploads.relative(path)
    with pytest.raises(UploadPathError):
        uploads.resolve(path)


def test_a_link_out_of_the_folder_is_refused(uploads, tmp_path):
    (uploads.root / "link.txt").symlink_to(tmp_path / "secret.txt")
    (uploads.root / "folder").symlink_to(tmp_path)

    for path in ("link.txt", "folder/secret.txt"):
        with pytest.raises(UploadPathError):
            uploads.resolve(path)


def test_a_loop_of_links_is_refused_or_missing(uploads):
    (uploads.root / "loop").symlink_to(uploads.root / "loop")

    with pytest.raises((UploadPathError, FileNotFoundError)):
        uploads.resolve("loop")


@pytest.mark.parametrize("path", ["folder", "pipe"])
def test_what_is_no_file_is_refused(uploads, path):
    (uploads.root / "folder").mkdir()
    os.mkfifo(uploads.root / "pipe")

    with pytest.raises(UploadPathError):
        uploads.resolve(path)


def test_a_missing_file_is_told_apart(uploads):
    place(uploads, "a.txt")

    for path in ("nothing.txt", "a.txt/b.txt"):
        with pytest.raises(FileNotFoundError):
            uploads.resolve(path)


@pytest.mark.parametrize("path", ["doc_1/a.txt", "doc_1/./a.txt", "doc_1//a.txt"])
def test_a_path_has_one_spelling(uploads, path):
    file = place(uploads, "doc_1/a.txt")

    assert uploads.relative(path) == "doc_1/a.txt"
    assert uploads.relative(str(file)) == "doc_1/a.txt"
    assert uploads.resolve(path) == file


@pytest.mark.parametrize(
    "name",
    ["report.pdf", "../../etc/passwd", "C:\\a\\b.docx", "", "...", ".env", "a\x00b.txt", "ü" * 500 + ".md", "a/", "x."],
)
def test_a_new_path_is_one_that_is_accepted(uploads, name):
    path = uploads.new_path("doc_1", name)
    place(uploads, path)

    assert path.startswith("doc_1/")
    assert uploads.relative(path) == path
    assert uploads.resolve(path).is_file()


def test_a_new_path_keeps_the_extension_of_a_long_name(uploads):
    assert uploads.new_path("doc_1", "ü" * 500 + ".docx").endswith(".docx")


def test_removing_a_file_removes_its_empty_folder_only(uploads):
    place(uploads, "doc_1/a.txt")
    place(uploads, "doc_1/b.txt")

    removed = [uploads.remove("doc_1/a.txt"), uploads.remove("doc_1/a.txt")]
    is_folder_kept = (uploads.root / "doc_1").is_dir()
    uploads.remove("doc_1/b.txt")

    assert removed == [True, False]
    assert is_folder_kept
    assert not (uploads.root / "doc_1").exists()
    assert uploads.root.is_dir()


def test_removing_does_not_leave_the_folder(uploads, tmp_path):
    with pytest.raises(UploadPathError):
        uploads.remove("../secret.txt")

    assert (tmp_path / "secret.txt").exists()


def test_a_file_that_was_written_since_is_not_removed_as_old(uploads):
    place(uploads, "doc_1/a.txt")

    removed = [uploads.remove_old("doc_1/a.txt", moment_s) for moment_s in (999_999, 1_000_001, 1_000_001)]

    assert removed == [False, True, False]


def test_old_files_are_found_by_their_last_write(uploads):
    place(uploads, "doc_1/old.txt", age_s=100)
    place(uploads, "doc_2/new.txt")
    (uploads.root / "link.txt").symlink_to(uploads.root / "doc_1/old.txt")

    assert list(uploads.older_than(1_000_000 - 50)) == ["doc_1/old.txt"]


def test_a_folder_that_is_not_there_has_no_files(tmp_path):
    assert list(Uploads(tmp_path / "none").older_than(1)) == []
