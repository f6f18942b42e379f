"""One parser process, seen from its parent."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import asdict
from pathlib import Path
from typing import Any

import app
from app.extract import protocol
from app.extract.kind import Kind
from app.extract.limits import Limits

READ_BYTES = 64 * 1024

# All that the child is told of its environment. Keys and passwords live in the other variables.
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV")
ADDED = {
    # Every further malloc arena reserves 64 MB of the address space that is limited.
    "MALLOC_ARENA_MAX": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONUTF8": "1",
}


class ChildGoneError(Exception):
    """The child ended, or closed its pipe, before the document was done."""


class Child:
    """A running parser process; serves one document at a time, any number one after another.

    It ends when `kill` is called, when this object is collected, and when the process or the thread that
    made it dies (Linux ties a death signal to the thread), so it never becomes an orphan.

    Not `asyncio.create_subprocess_exec`: that ties the child to one event loop, and a worker that calls
    `asyncio.run` for each message would start a new process, at 150 ms, for each.

    Raises:
        OSError: no process could be started.
    """

    def __init__(self) -> None:
        self.served = 0
        self.limits: Limits | None = None
        self._held = bytearray()
        self._owner_pid = os.getpid()
        # In a session of its own: signals for the worker's process group are not for the parser.
        self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
            [sys.executable, "-P", "-m", "app.extract.child", str(self._owner_pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=_environment(),
            start_new_session=True,
        )
        assert self._process.stdin is not None  # noqa: S101 - for the type checker: a pipe was asked for
        assert self._process.stdout is not None  # noqa: S101
        self._requests = self._process.stdin
        self._answers_fd = self._process.stdout.fileno()
        os.set_blocking(self._answers_fd, False)
        self._end = weakref.finalize(self, _end, self._process, self._owner_pid)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def is_usable(self, limits: Limits) -> bool:
        """Whether it lives, belongs to this process and not to the one that forked it, and has these limits."""
        is_ours = self._owner_pid == os.getpid()
        return is_ours and self.limits in {None, limits} and self._process.poll() is None

    def request(self, path: Path, kind: Kind, limits: Limits) -> None:
        """Ask for a document; the answers come from `receive`.

        Raises:
            ChildGoneError: it has ended meanwhile.
        """
        self.limits = limits
        line = json.dumps({"path": str(path), "kind": kind, "limits": asdict(limits)})
        try:
            # Never blocks: the child is idle, so its pipe of 64 KB is empty.
            self._requests.write(line.encode() + b"\n")
        except BrokenPipeError as exc:
            raise ChildGoneError from exc

    async def receive(self, timeout_s: float) -> list[Any]:
        """The next answer. What the consumer does not take stays in the pipe, and there the child waits.

        Raises:
            TimeoutError: nothing came within `timeout_s`.
            ChildGoneError: the child has ended, or sent something that is no answer.
        """
        deadline = time.monotonic() + timeout_s
        while (at := self._held.find(b"\n")) < 0:
            if len(self._held) > protocol.MAX_LINE_BYTES:
                raise ChildGoneError
            block = await self._read(deadline)
            if not block:
                raise ChildGoneError
            self._held += block
        line = bytes(self._held[:at])
        del self._held[: at + 1]
        try:
            answer = json.loads(line)
        except ValueError as exc:
            raise ChildGoneError from exc
        return answer if isinstance(answer, list) else []

    async def _read(self, deadline: float) -> bytes:
        # Give way once a block, so that a fast parser does not keep the loop to itself.
        await asyncio.sleep(0)
        while True:
            try:
                return os.read(self._answers_fd, READ_BYTES)
            except BlockingIOError:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await _readable(self._answers_fd)

    async def exit_code(self, timeout_s: float) -> int | None:
        """How it ended: the exit code, minus a signal's number, or None if it still runs after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        # Its pipe has closed, so this is a matter of milliseconds; a thread for `wait` would take as long.
        while (code := self._process.poll()) is None and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        return code

    def kill(self) -> None:
        """End it at once and without waiting; may be called again."""
        self._end()


def _environment() -> dict[str, str]:
    told = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    root = str(Path(app.__file__).resolve().parents[1])
    paths = filter(None, (root, os.environ.get("PYTHONPATH")))
    return told | ADDED | {"PYTHONPATH": os.pathsep.join(paths)}


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(fd, wake)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


def _end(process: "subprocess.Popen[bytes]", owner_pid: int) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    if owner_pid != os.getpid():
        # A fork of the owner: neither to be killed nor waited for, and Popen shall not warn that it runs on.
        process.returncode = 0
        return
    if process.poll() is None:
        process.kill()
        # The kernel may take 100 ms to free a gigabyte: not on the event loop.
        reaper = threading.Thread(target=process.wait, name="reap-parser", daemon=True)
        try:
            reaper.start()
        except RuntimeError:  # the interpreter is on its way out, or the machine is out of threads
            process.wait()
