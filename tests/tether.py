"""A process group that dies with its owner, whatever the owner dies of.

The kernel's parent-death signal reaches a direct child only; the workers of Celery and Dramatiq have children of
their own. A tether is a shell that waits at a pipe: when the last process that holds the other end has ended, the
pipe closes and the shell kills the whole group.
"""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

KILL = 'kill -s KILL -- "-$1" 2>/dev/null'
OPEN_DEADLINE_S = 10.0


class Tether:
    """Kills a process group when this process ends.

    Args:
        pgid: a group made for this purpose, as by `Popen(start_new_session=True)`.
    """

    def __init__(self, pgid: int) -> None:
        read_end, self._write_end = os.pipe()
        command = ["sh", "-c", f"cat >/dev/null; {KILL}", "tether", str(pgid)]
        self._shell = subprocess.Popen(command, stdin=read_end, start_new_session=True)
        os.close(read_end)

    def loosen(self) -> None:
        """Let the group be: the shell ends without killing."""
        self._shell.kill()
        self._shell.wait()
        os.close(self._write_end)


def tie(pgid: int, fifo: Path) -> int:
    """A descriptor of a new named pipe; the group is killed when neither it nor any other of `hold` is open."""
    os.mkfifo(fifo)
    command = ["sh", "-c", f'{{ cat "$2" >/dev/null; {KILL}; }} &', "tether", str(pgid), str(fifo)]
    subprocess.run(command, stdin=subprocess.DEVNULL, start_new_session=True, check=True)
    deadline = time.monotonic() + OPEN_DEADLINE_S
    while True:
        try:
            return hold(fifo)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def hold(fifo: Path) -> int:
    """One more descriptor of a named pipe of `tie`.

    Raises:
        OSError: the shell at the other end has ended, and the group with it; or it has not opened the pipe yet.
    """
    return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)


def kill_group(pgid: int, signal_number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to every process of a group; harmless when all have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pgid, signal_number)
