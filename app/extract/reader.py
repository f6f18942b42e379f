"""From a file to its chunks, parsed in another process under limits."""

import asyncio
import errno
import signal
import threading
import time
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from app.extract import protocol
from app.extract.chunker import Chunk
from app.extract.errors import Code, DocumentError, EmptyFileError
from app.extract.kind import Kind
from app.extract.limits import Limits
from app.extract.process import Child, ChildGoneError
from app.extract.section import Progress

MAX_CHILDREN = 4
"""Documents that one event loop parses at the same time; further ones wait for their turn."""

MAX_SERVED = 100
"""Documents after which a child is replaced, so that no library's leak grows without end."""

EXIT_WAIT_S = 5.0

START_WAIT_S = 30.0
"""A new child takes about 150 ms to answer, on a machine that swaps much longer."""


class _Pool(threading.local):
    """What this thread keeps between documents: one warm child, and its loops' seats.

    Per thread, because the kernel kills a child with the thread that made it, and because a thread runs one
    loop at a time. Not an object passed in: what it holds depends on thread and process, not on settings.
    """

    def __init__(self) -> None:
        self.idle: Child | None = None
        self.seats: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            weakref.WeakKeyDictionary()
        )

    def seat(self) -> asyncio.Semaphore:
        return self.seats.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(MAX_CHILDREN))

    def take(self, limits: Limits) -> Child:
        child, self.idle = self.idle, None
        if child is not None:
            if child.is_usable(limits):
                return child
            child.kill()
        return Child()

    def give_back(self, child: Child) -> None:
        if self.idle is None and child.served < MAX_SERVED:
            self.idle = child
        else:
            child.kill()

    def close(self) -> None:
        child, self.idle = self.idle, None
        if child is not None:
            child.kill()


_pool = _Pool()


async def read_chunks(path: Path, kind: Kind, limits: Limits) -> AsyncIterator[Chunk | Progress]:
    """The document's chunks in order; a `Progress` ten times a second at most, and one when all is read.

    At most about 200 KB of chunks are on their way at any time: a consumer that waits makes the parser wait.
    Closing or cancelling the iterator kills the parser. A consumer that may stop early closes it itself:
    `async with contextlib.aclosing(read_chunks(...)) as items`.

    The same file gives the same chunks at the same positions every time.

    Args:
        path: the file.
        kind: what `detect` said of it.
        limits: what it may cost. Other limits than the last call's cost a new process, about 150 ms.

    Raises:
        EmptyFileError: no bytes.
        DocumentError: any of the codes. Chunks may have come before it; they belong to a failed document.
        OSError: the file cannot be read or no process started; the next attempt may do better.
    """
    path = _checked(path, limits)
    async with _pool.seat():
        child = await _started(path, kind, limits)
        is_reusable = False
        waited_s = 0.0
        try:
            while True:
                start = time.monotonic()
                answer = await _answer(child, limits, waited_s)
                waited_s += time.monotonic() - start
                match answer:
                    case [protocol.DONE, bool(should_retire)]:
                        is_reusable = not should_retire
                        return
                    case _:
                        yield _item(answer, path)
        finally:
            child.served += 1
            if is_reusable:
                _pool.give_back(child)
            else:
                child.kill()


def stop_children() -> None:
    """End the warm child of this thread; the next `read_chunks` starts another. Ends by itself otherwise."""
    _pool.close()


def _checked(path: Path, limits: Limits) -> Path:
    """The absolute path, whatever becomes of the working directory; refuses by size."""
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise EmptyFileError(path.name)
    if size_bytes > limits.max_file_bytes:
        raise DocumentError(Code.TOO_LARGE, f"{size_bytes:,} bytes, and at most {limits.max_file_bytes:,} are read")
    return path.absolute()


async def _started(path: Path, kind: Kind, limits: Limits) -> Child:
    """A child that has taken up the document.

    A warm one may have died idle (an operator's kill, the machine's memory), which is not the document's doing.
    """
    for _ in range(2):
        child = _pool.take(limits)
        try:
            child.request(path, kind, limits)
            if await child.receive(START_WAIT_S) == [protocol.STARTED]:
                return child
        except (ChildGoneError, TimeoutError):
            child.kill()
        except BaseException:  # cancelled: nobody else knows this child
            child.kill()
            raise
    raise OSError(errno.EAGAIN, "the parser's process does not start")


async def _answer(child: Child, limits: Limits, waited_s: float) -> list[Any]:
    try:
        return await child.receive(limits.wall_s - waited_s)
    except TimeoutError as exc:
        raise DocumentError(Code.TOO_SLOW, f"not parsed within {limits.wall_s:g} s") from exc
    except ChildGoneError as exc:
        raise _death(await child.exit_code(EXIT_WAIT_S), limits) from exc


def _item(answer: list[Any], path: Path) -> Chunk | Progress:
    match answer:
        case [protocol.CHUNK, int(position), str(text), str(place)]:
            return Chunk(position, text, place)
        case [protocol.PROGRESS, int(done), int() | None as total]:
            return Progress(done, total)
        case [protocol.DOCUMENT_ERROR, str(code), str(detail)]:
            raise DocumentError(Code(code), detail)
        case [protocol.OS_ERROR, int(number), str(message)]:
            raise OSError(number, message, str(path))
        case _:
            raise DocumentError(Code.PARSER_DIED, "the parser sent nonsense")


def _death(exit_code: int | None, limits: Limits) -> DocumentError:
    """What the way in which a child ended says about its document."""
    if exit_code == -signal.SIGXCPU:
        return DocumentError(Code.TOO_SLOW, f"the parser used {limits.cpu_s:g} s of CPU")
    if exit_code in {-signal.SIGKILL, protocol.EXIT_OUT_OF_MEMORY}:
        # Nobody here has killed it, so the machine has, which ran out of memory.
        return DocumentError(Code.TOO_MUCH_MEMORY, "the parser's process ran out of memory")
    if exit_code is not None and exit_code < 0:
        return DocumentError(Code.PARSER_DIED, f"the parser was ended by signal {-exit_code}")
    return DocumentError(Code.PARSER_DIED, f"the parser ended with exit code {exit_code}")
