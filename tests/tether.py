"""A process group that dies with several owners: a tether whose pipe has a name."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from queues.bench.tether import KILL

OPEN_DEADLINE_S = 60.0


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
