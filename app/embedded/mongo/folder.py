"""The data folder belongs to one server: a lock that the kernel gives back when the process ends, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FolderInUseError(RuntimeError):
    """Another server has the folder; `folder` says which, and the text says who."""

    def __init__(self, folder: Path, owner: str) -> None:
        super().__init__(f"the data folder {folder} is in use by another server (process {owner or 'unknown'})")
        self.folder = folder


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold the folder, made when missing, readable by its owner alone.

    Raises:
        FolderInUseError: another server holds it.
        OSError: it cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise FolderInUseError(folder, file.read(20).strip()) from None
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
