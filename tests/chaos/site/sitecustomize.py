"""Gives a process a wall clock that chaos can step: the machine's, plus the offset that a mapped file holds.

Python imports this module at its start, before Celery or Dramatiq could take hold of `time.time`. What asks the
operating system in C, as `datetime.now`, is not stepped: then parts of one process disagree, which is harder still.
"""

import mmap
import os
import struct
import time
from pathlib import Path

_PATH = os.environ.get("CHAOS_CLOCK")

if _PATH:
    with Path(_PATH).open("rb") as _file:
        _OFFSET_S = mmap.mmap(_file.fileno(), 8, prot=mmap.PROT_READ)
    _time, _time_ns = time.time, time.time_ns

    def _stepped() -> float:
        return _time() + float(struct.unpack_from("d", _OFFSET_S)[0])

    def _stepped_ns() -> int:
        return _time_ns() + int(struct.unpack_from("d", _OFFSET_S)[0] * 1e9)

    time.time, time.time_ns = _stepped, _stepped_ns
