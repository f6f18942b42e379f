"""A child of the test's own process, forked as servers fork their workers: it tells something, and ends in time."""

import os
import select
import signal
from collections.abc import Callable

WITHIN_S = 60.0


def told_by_child(tell: Callable[[], bytes]) -> bytes:
    """What the function returns in a child.

    Raises:
        AssertionError: the child raised, or had not ended in time; it is killed then.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(writing, tell())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        is_ended = bool(select.select([pipe], [], [], WITHIN_S)[0])
        if not is_ended:
            os.kill(child, signal.SIGKILL)
        told = pipe.read()
    status = os.waitpid(child, 0)[1]
    assert is_ended, f"the child had told nothing after {WITHIN_S:.0f} s"
    assert status == 0, f"the child ended with {status}"
    return told
