"""`python guardian.py`: ends every process group that it was told of when its stdin closes.

The supervisor holds the other end of that pipe, and the kernel closes it however the supervisor ends. So after a
`kill -9` of the supervisor nothing is left over, the children of Celery and Dramatiq included, on every system.

Each line is `+PGID` or `-PGID`. Run by its path, with `python -I -S`: it imports nothing of ours.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def watch(lines: Iterable[str]) -> set[int]:
    """The groups that are left when the lines end."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def main() -> None:
    """Wait for the supervisor's end, then end what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for group in watch(sys.stdin):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
