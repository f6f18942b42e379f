"""A process group that dies with its owner, whatever the owner dies of, and its folder with it.

The kernel's parent-death signal reaches a direct child only; the workers of Celery and Dramatiq have children of
their own. A tether is a shell that waits at a pipe: when the last process that holds the other end has ended, the
pipe closes and the shell kills the whole group, also one that is stopped.
"""

import os
import subprocess
from pathlib import Path

KILL = 'kill -s KILL -- "-$1" 2>/dev/null'
REMOVE = '[ -z "$2" ] || rm -rf -- "$2"'


class Tether:
    """Kills a process group when this process ends.

    Args:
        pgid: a group made for this purpose, as by `Popen(start_new_session=True)`.
        folder: removed then; None where there is none.
    """

    def __init__(self, pgid: int, folder: Path | None = None) -> None:
        read_end, write_end = os.pipe()
        self._end = os.fdopen(write_end, "wb")
        command = ["sh", "-c", f"cat >/dev/null; {KILL}; {REMOVE}", "tether", str(pgid), str(folder or "")]
        self._shell = subprocess.Popen(command, stdin=read_end, start_new_session=True)  # noqa: S603 - our own words
        os.close(read_end)

    def loosen(self) -> None:
        """Let the group be: the shell ends without killing. May be repeated."""
        self._shell.kill()
        self._shell.wait()
        self._end.close()
