"""Worker processes of Celery and of Dramatiq, started as an operator would start them.

Each worker is a process group of its own, with its output in a log file, and dies with the test process.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from queues import Queue
from queues.bench.tether import Tether
from tests.tether import kill_group

PROGRAMS = Path(__file__).parent / "programs"
START_DEADLINE_S = 120.0
STOP_DEADLINE_S = 60.0
Kind = Literal["celery", "celery threads", "dramatiq"]


class WorkerStartError(RuntimeError):
    """A worker ended, or was not ready in time; the text carries the end of its log."""


class Worker:
    """One worker command with all its children; a context manager.

    Args:
        command: what to run after `python -m`, with cwd and PYTHONPATH at `tests/programs`.
        environment: added to this process's own.
        log_path: where its output goes; appended to at a restart.
        is_ready: says whether it consumes; asked until it does.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log_path: Path,
        is_ready: Callable[["Worker"], bool],
    ) -> None:
        self._command = [sys.executable, "-m", *command]
        self._environment = environment
        self._log_path = log_path
        self._is_ready = is_ready
        self._process: subprocess.Popen[bytes] | None = None
        self._tether: Tether | None = None
        self._offset = 0

    @property
    def pid(self) -> int:
        """Process id of the command, and of its process group."""
        if self._process is None:
            msg = "the worker is not started"
            raise WorkerStartError(msg)
        return self._process.pid

    @property
    def log(self) -> str:
        """What it wrote since its last start."""
        return self._log_path.read_bytes()[self._offset :].decode("utf-8", "replace")

    @property
    def is_alive(self) -> bool:
        """Whether the command still runs."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> Self:
        """Start the worker and wait until it consumes.

        Raises:
            WorkerStartError: it ended, or was not ready within two minutes.
        """
        self.launch()
        return self.wait_until_ready()

    def launch(self) -> None:
        """Start the worker without waiting for it."""
        with self._log_path.open("ab") as log:
            self._offset = log.tell()
            self._process = subprocess.Popen(
                self._command,
                cwd=PROGRAMS,
                env={**os.environ, "PYTHONPATH": str(PROGRAMS), "PYTHONUNBUFFERED": "1", **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._tether = Tether(self._process.pid)

    def wait_until_ready(self) -> Self:
        """Return when the launched worker consumes.

        Raises:
            WorkerStartError: it ended, or was not ready within two minutes.
        """
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline and self.is_alive:
            if self._is_ready(self):
                return self
            time.sleep(0.02)
        log = self.log[-3000:]
        self.kill()
        msg = f"{' '.join(self._command)} did not start:\n{log}"
        raise WorkerStartError(msg)

    def signal(self, signal_number: signal.Signals) -> None:
        """Send a signal to every process of the worker."""
        kill_group(self.pid, signal_number)

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the command alone, as a supervisor does; it tells its children."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End every process of it at once with SIGKILL, as a crash of the machine would."""
        if self._process is not None:
            kill_group(self._process.pid)
        self._reap()

    def stop(self) -> None:
        """SIGTERM, and wait until it has ended; SIGKILL to what is left after a minute."""
        if self.is_alive:
            self.ask_to_stop()
        self.wait()

    def wait(self) -> None:
        """Wait until it has ended by itself; SIGKILL to what is left after a minute."""
        if self._process is not None:
            try:
                self._process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                kill_group(self._process.pid)
        self.kill()

    def restart(self) -> Self:
        """Start again, after `kill`, after `stop`, or while running."""
        self.kill()
        return self.start()

    def keep_running(self, is_done: Callable[[], object], within_s: float) -> None:
        """Start it again whenever it has ended, as a supervisor does, until the claim holds or the time is over."""
        deadline = time.monotonic() + within_s
        while not is_done() and time.monotonic() < deadline:
            if not self.is_alive:
                # It may end again before anybody has seen it ready.
                self.kill()
                self.launch()
            time.sleep(0.05)

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(STOP_DEADLINE_S)
        if self._tether is not None:
            self._tether.loosen()
        self._process = self._tether = None


def worker_command(kind: Kind, module: str, *, concurrency: int = 4) -> list[str]:
    """The command line of a worker of that kind; `module` has an `app` for Celery, a `broker` for Dramatiq."""
    if kind == "dramatiq":
        return ["dramatiq", f"{module}:broker", "--processes", "1", "--threads", str(concurrency)]
    pool = "threads" if kind == "celery threads" else "prefork"
    quiet = ["--without-gossip", "--without-mingle", "--loglevel", "INFO"]
    return ["celery", "-A", module, "worker", "--pool", pool, "--concurrency", str(concurrency), *quiet]


def is_seen_by(queue: Queue) -> Callable[[Worker], bool]:
    """Readiness: a process of the worker's group has announced itself in the queue's store."""

    def is_seen(worker: Worker) -> bool:
        pids = [int(info.name.rpartition(":")[2]) for info in queue.workers()]
        return any(_group_of(pid) == worker.pid for pid in pids)

    return is_seen


def has_logged(worker: Worker) -> bool:
    """Readiness: the worker's log says so."""
    return " ready." in worker.log or "Worker process is ready for action" in worker.log


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0
