"""The parser's process: `python -m app.extract.child <parent pid>`, started by `process.py`.

It reads one JSON request a line from stdin and answers with JSON lines on stdout (`protocol.py`), one document
after another, until stdin ends, its parent dies or a document kills it. A document is never trusted here: time,
memory and core files are limited before it is opened.
"""

import contextlib
import ctypes
import json
import math
import os
import queue
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from app.extract import protocol
from app.extract.chunker import Chunk
from app.extract.errors import Code, DocumentError
from app.extract.kind import Kind
from app.extract.limits import Limits
from app.extract.parse import parse
from app.extract.section import Progress

PR_SET_PDEATHSIG = 1  # linux/prctl.h
READ_BYTES = WRITE_BYTES = 64 * 1024
# The parent wakes up for each. Told after every page, a third of its time went into that.
PROGRESS_PERIOD_S = 0.1
THREAD_STACK_BYTES = 256 * 1024

# A memory limit is near when this share of it has been reserved at some time.
NEAR_LIMIT = 0.9
# What one document leaves behind (caches, a torn heap) must not make the next one fail.
RETIRE_AT = 0.5


def main() -> None:
    """Serve until there is nothing more to serve; never returns."""
    _die_with(int(sys.argv[1]))
    # Ctrl-C and a service manager's stop reach every process of the service. The worker lets its documents
    # finish then, and a parser that stopped by itself would look like one that its document has killed.
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # openpyxl imports numpy when it is there, for 0.1 s and 15 MB, only to recognise its numbers.
    sys.modules["numpy"] = None  # type: ignore[assignment]  # None is how Python marks a module as barred
    answers = _take_stdout()
    try:
        for line in _requests():
            _serve(json.loads(line), answers)
    except BrokenPipeError:
        os._exit(0)
    except MemoryError:
        os._exit(protocol.EXIT_OUT_OF_MEMORY)


def _die_with(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent dies, however that dies (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(0)


def _take_stdout() -> TextIO:
    """The pipe to the parent; whatever a parser prints goes to /dev/null instead of between the answers."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii", buffering=WRITE_BYTES)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    return answers


def _requests() -> Iterator[bytes]:
    """The lines of stdin, read by a thread that ends this process as soon as the parent has closed it.

    The main thread may be deep in a parser then. It is the only cure where the kernel has no death signal.
    """
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def watch() -> None:
        held = b""
        while block := os.read(0, READ_BYTES):
            *whole, held = (held + block).split(b"\n")
            for line in whole:
                lines.put(line)
        os._exit(0)

    threading.stack_size(THREAD_STACK_BYTES)
    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
    while True:
        yield lines.get()


def _serve(request: dict[str, Any], answers: TextIO) -> None:
    _send(answers, [protocol.STARTED])
    answers.flush()
    limits = Limits(**request["limits"])
    _apply(limits)
    # Sent behind the except clauses: only there are the parser's frames, and all they hold, let go.
    last: list[object]
    try:
        _send_all(answers, parse(Path(request["path"]), Kind(request["kind"]), limits))
        last = [protocol.DONE, _peak_bytes() > RETIRE_AT * limits.max_memory_bytes]
    except DocumentError as exc:
        last = [protocol.DOCUMENT_ERROR, exc.code, exc.detail]
    except BrokenPipeError:
        raise
    except MemoryError:
        last = [protocol.DOCUMENT_ERROR, Code.TOO_MUCH_MEMORY, _memory_detail(limits)]
    except OSError as exc:
        last = _os_error(exc)
    except Exception as exc:  # noqa: BLE001 - outermost loop: parsers raise anything on hostile files
        last = [protocol.DOCUMENT_ERROR, *_reason(exc, limits)]
    _send(answers, last)
    answers.flush()


def _send_all(answers: TextIO, items: Iterable[Chunk | Progress]) -> None:
    """Send the chunks, and how far the parser has come now and then, and at the end."""
    told_s, untold = time.monotonic(), None
    for item in items:
        if isinstance(item, Chunk):
            _send(answers, [protocol.CHUNK, item.position, item.text, item.place])
            continue
        untold = item
        if time.monotonic() - told_s >= PROGRESS_PERIOD_S:
            _send(answers, [protocol.PROGRESS, item.done, item.total])
            answers.flush()
            told_s, untold = time.monotonic(), None
    if untold is not None:
        _send(answers, [protocol.PROGRESS, untold.done, untold.total])


def _send(answers: TextIO, answer: list[object]) -> None:
    answers.write(json.dumps(answer))
    answers.write("\n")


def _apply(limits: Limits) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    with contextlib.suppress(ValueError, OSError):  # macOS has the name but not the limit
        resource.setrlimit(resource.RLIMIT_AS, (_lower(limits.max_memory_bytes, hard), hard))
    # The limit counts from the process's start, so what earlier documents used is added. Whole seconds only.
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (_lower(math.ceil(time.process_time() + limits.cpu_s), hard), hard))


def _lower(soft: int, hard: int) -> int:
    return soft if hard == resource.RLIM_INFINITY else min(soft, hard)


def _os_error(exc: OSError) -> list[object]:
    if exc.errno is None:  # a parser's own use of the class, as zlib's and Pillow's
        return [protocol.DOCUMENT_ERROR, Code.CORRUPT_FILE, f"{type(exc).__name__}: {exc}"]
    return [protocol.OS_ERROR, exc.errno, exc.strerror or str(exc)]


def _reason(exc: Exception, limits: Limits) -> tuple[Code, str]:
    """C libraries report a refused allocation in words of their own, or as damage."""
    is_memory = "memory" in str(exc).lower() or _peak_bytes() > NEAR_LIMIT * limits.max_memory_bytes
    if is_memory:
        return Code.TOO_MUCH_MEMORY, _memory_detail(limits)
    return Code.CORRUPT_FILE, f"{type(exc).__name__}: {exc}"


def _memory_detail(limits: Limits) -> str:
    return f"the parser needs more than {limits.max_memory_bytes // 2**20:,} MB"


def _peak_bytes() -> int:
    """The most address space this process ever had; 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    peak = next((line for line in status.splitlines() if line.startswith("VmPeak:")), "VmPeak: 0")
    return int(peak.split()[1]) * 1024


if __name__ == "__main__":
    main()
