"""The uploaded files: one folder, in it one folder for each source."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from app.stores.errors import UploadPathError

MAX_PATH_CHARS = 1024
# The longest file name that the usual file systems take, less what a temporary suffix needs.
MAX_NAME_BYTES = 200

_UNSAFE = re.compile(r"[^\w.\- ]", re.UNICODE)


class Uploads:
    """The folder of uploaded files.

    A file's path is kept relative to the folder, with `/`, so that the folder may move.

    Args of the constructor: the folder; it is made when the first file is placed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def new_path(self, source_id: str, filename: str) -> str:
        """Where the file of a source belongs: `<source id>/<name>`, whatever characters the name has.

        The folder is made; the file is the caller's to write (to a temporary name in the same folder, then
        renamed).
        """
        base = _UNSAFE.sub("_", filename.replace("\\", "/").rsplit("/", 1)[-1]).strip(" .")
        stem, dot, suffix = base.rpartition(".")
        if not dot:
            stem, suffix = base, ""
        ending = f".{suffix[:16]}" if suffix else ""
        kept = stem.encode()[: MAX_NAME_BYTES - len(ending.encode())].decode("utf-8", "ignore")
        folder = _UNSAFE.sub("_", source_id).strip(" .") or "_"
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        return f"{folder}/{kept or 'file'}{ending}"

    def relative(self, path: str) -> str:
        """The path as it is stored. The file need not exist.

        Args:
            path: relative to the folder, or absolute and inside it.

        Raises:
            UploadPathError: it leads out of the folder, by `..`, by a link, or as an absolute path; or a part
                of it is hidden; or it is empty, too long, or has a character that no path has.
        """
        place = self._place(path)
        if any(part.startswith(".") for part in place.parts):
            raise UploadPathError(path, "it has a hidden part")
        return place.as_posix()

    def _place(self, path: str) -> PurePosixPath:
        if not path or len(path) > MAX_PATH_CHARS:
            raise UploadPathError(path[:80], f"it must have 1 to {MAX_PATH_CHARS} characters")
        if any(ord(char) < 32 or 0xD800 <= ord(char) <= 0xDFFF for char in path):
            raise UploadPathError(ascii(path), "it has a control character")
        if ".." in PurePosixPath(path.replace("\\", "/")).parts:
            raise UploadPathError(path, "it has a part `..`")
        root = self.root.resolve()
        try:
            place = (root / path).resolve()
        except (OSError, RuntimeError) as exc:
            raise UploadPathError(path, "it cannot be followed") from exc
        if place == root or not place.is_relative_to(root):
            raise UploadPathError(path, "it is outside of the uploads folder")
        return PurePosixPath(place.relative_to(root).as_posix())

    def resolve(self, path: str) -> Path:
        """The file itself.

        Raises:
            UploadPathError: as `relative`, or it is a folder, a device or anything but a file.
            FileNotFoundError: there is no such file.
        """
        place = self.root.resolve() / self.relative(path)
        try:
            mode = place.stat().st_mode
        except (NotADirectoryError, PermissionError) as exc:
            raise FileNotFoundError(path) from exc
        if not stat.S_ISREG(mode):
            raise UploadPathError(path, "it is not a file")
        return place

    def remove(self, path: str) -> bool:
        """Delete the file, and its folder when that is left empty; whether there was one.

        Raises:
            UploadPathError: it leads out of the folder.
        """
        root = self.root.resolve()
        place = root / self._place(path)
        try:
            place.unlink()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return False
        if place.parent != root:
            _remove_if_empty(place.parent)
        return True

    def remove_old(self, path: str, moment_s: float) -> bool:
        """As `remove`, but only when the file was last written before `moment_s` (seconds, Unix epoch)."""
        try:
            is_old = (self.root.resolve() / self._place(path)).stat().st_mtime < moment_s
        except (FileNotFoundError, NotADirectoryError):
            return False
        return is_old and self.remove(path)

    def older_than(self, moment_s: float) -> Iterator[str]:
        """The path of every file last written before `moment_s` (seconds since the Unix epoch)."""
        root = self.root.resolve()
        for folder, _folders, names in os.walk(root):
            for name in names:
                place = Path(folder) / name
                try:
                    found = place.lstat()
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(found.st_mode) and found.st_mtime < moment_s:
                    yield place.relative_to(root).as_posix()


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        # Another file came in meanwhile: the folder stays, and goes with that file.
        return
