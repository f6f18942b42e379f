"""Wakes the main thread of a process out of a system call, so that an exception that was set in it is raised at once.

Python raises such an exception before the next line of Python code; a thread that sleeps or reads from a socket may
take minutes to get there. A signal ends the call, and Python's handler is Python code. Only the main thread runs
handlers: that is where Celery's child processes run their tasks.

Source: PEP 475, "Retry system calls failing with EINTR".
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

WAKE = getattr(signal, "SIGURG", None)
"""It does nothing by default, and only out-of-band data of sockets use it; None where there are no such signals."""
PAUSES_S = (0.0, 0.01, 0.1, 1.0)
_prepared: set[int] = set()
"""Processes that have the handler: to ask Python for one takes as long as to read a message."""


def prepare() -> None:
    """Let `wake` reach this thread, if it is the main thread and the program has no use for the signal itself."""
    if WAKE is None or not _is_main(threading.get_ident()) or os.getpid() in _prepared:
        return
    if signal.getsignal(WAKE) is signal.SIG_DFL:
        signal.signal(WAKE, _woken)
        _prepared.add(os.getpid())


def wake(thread_id: int, is_needed: Callable[[], bool]) -> None:
    """End the system call that the main thread is in; harmless when it is in none, or is another thread."""
    if WAKE is not None and _is_main(thread_id) and signal.getsignal(WAKE) is _woken:
        threading.Thread(target=_ring, args=(thread_id, WAKE, is_needed), name="onceq-waking", daemon=True).start()


def _ring(thread_id: int, number: signal.Signals, is_needed: Callable[[], bool]) -> None:
    # More than once: a thread that is just on its way into a system call sleeps through the first.
    for pause_s in PAUSES_S:
        time.sleep(pause_s)
        if not is_needed():
            return
        signal.pthread_kill(thread_id, number)


def _is_main(thread_id: int) -> bool:
    return thread_id == threading.main_thread().ident


def _woken(_number: int, _frame: FrameType | None) -> None:
    """The exception is raised here, and from here out of the call that was ended."""
