"""A process group that dies with its owner, whatever the owner dies of.

The kernel's parent-death signal reaches a direct child only; the workers of Celery and Dramatiq have children of
their own. A tether is a shell that waits at a pipe: when the last process that holds the other end has ended, the
pipe closes and the shell kills the whole group.
"""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

SCRIPT = 'cat >/dev/null; kill -s KILL -- "-$1" 2>/dev/null'


class Tether:
    """Kills the process group `pgid` when this process ends, or when `cut` is called.

    Args:
        pgid: a group made for this purpose, as by `Popen(start_new_session=True)`.
        fifo: hold this named pipe instead of one of our own; others may `hold` it too.
    """

    def __init__(self, pgid: int, fifo: Path | None = None) -> None:
        self._pgid = pgid
        if fifo is not None:
            os.mkfifo(fifo)
            read_end = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
            self._write_end = hold(fifo)
            os.set_blocking(read_end, True)
        else:
            read_end, self._write_end = os.pipe()
        command = ["sh", "-c", SCRIPT, "tether", str(pgid)]
        self._shell = subprocess.Popen(command, stdin=read_end, start_new_session=True)
        os.close(read_end)

    def loosen(self) -> None:
        """Let the group be: the shell ends without killing."""
        self._shell.kill()
        self._shell.wait()
        self._let_go()

    def cut(self) -> None:
        """Kill the group now, unless another process holds the named pipe."""
        self._let_go()

    def _let_go(self) -> None:
        if self._write_end >= 0:
            os.close(self._write_end)
            self._write_end = -1


def hold(fifo: Path) -> int:
    """A descriptor of the named pipe; the group lives at least until it is closed.

    Raises:
        OSError: the shell at the other end has ended, and the group with it.
    """
    return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)


def kill_group(pgid: int, signal_number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to every process of a group; harmless when all have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pgid, signal_number)
