"""`python tether.py PARENT_PID COMMAND...`: becomes the command, which the kernel ends when the parent ends.

Run by its path, with `python -I -S`: it starts in a few milliseconds and imports nothing of ours. It takes the
place of a function between fork and exec, which must not be used in a program that has threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str]) -> None:
    """Become the command; ends with 1 when the parent is gone already."""
    parent_pid, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        # Kept over exec, but not by the command's own children: those are the guardian's to end.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - the supervisor's own command, without a shell


if __name__ == "__main__":
    main(sys.argv[1:])
