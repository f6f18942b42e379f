"""The folder in which the processes of one worker keep their numbers, each in files of its own.

The numbers of a child that was killed must stay: a sum that shrinks looks to Prometheus as if every counter had begun
anew. Those of a worker that has ended must go. So every process holds a shared lock on the folder while it lives, and
one that gets it exclusively, when it starts, is the first of its worker.
"""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

from queues.errors import InvalidOptionError

_held: dict[Path, IO[bytes]] = {}
"""Open for as long as the process lives; a child of a fork inherits the lock."""


def claimed(port: int) -> str:
    """The folder of the worker whose metrics are served at that port, emptied by its first process.

    Raises:
        InvalidOptionError: it is not ours, or cannot be written.
    """
    folder = Path(tempfile.gettempdir()) / f"onceq-metrics-{os.getuid()}-{port}"
    if folder in _held:
        return str(folder)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
        if folder.is_symlink() or facts.st_uid != os.getuid() or facts.st_mode & 0o022:
            msg = f"{folder} is not a folder of this user alone: set PROMETHEUS_MULTIPROC_DIR to one"
            raise InvalidOptionError(msg)
        lock = (folder / "lock").open("ab")
        if _is_first(lock):
            for stale in folder.glob("*.db"):
                stale.unlink()
        fcntl.flock(lock, fcntl.LOCK_SH)
    except OSError as exc:
        msg = f"the metrics of several processes have no folder: {exc}; set PROMETHEUS_MULTIPROC_DIR to one"
        raise InvalidOptionError(msg) from exc
    _held[folder] = lock
    return str(folder)


def _is_first(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
