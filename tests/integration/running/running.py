"""`python -m app.run` as a process, with its own servers, on free ports, and a client's view of it."""

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import app.embedded
from app.demo.service import RUN_LINE
from app.settings import Settings
from tests.ports import free_port

KEY = "a-key-for-the-tests-of-running"
READY = "onceq is ready"
START_DEADLINE_S = 150.0
STOP_DEADLINE_S = 60.0
CHATBOT = "bot_1"
TETHER = Path(app.embedded.__file__).with_name("tether.py")


def wait_for(is_so: Callable[[], bool], deadline_s: float, what: str) -> None:
    """Poll until it is so; AssertionError with `what` after the deadline."""
    deadline = time.monotonic() + deadline_s
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {deadline_s:g} s: {what}")
        time.sleep(0.02)


class Running:
    """One start of the service.

    Args:
        backend: `celery` or `dramatiq`.
        folder: the data folder; a second start with the same one finds its data.
        options: more environment variables.
    """

    def __init__(self, backend: str, folder: Path, options: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._terminal = folder.with_name(f"{folder.name}-{self.port}.txt")
        named = {name.upper() for name in Settings.model_fields}
        self.environment = {name: value for name, value in os.environ.items() if name not in named} | {
            "QUEUES_BACKEND": backend,
            "DATA_DIR": str(folder),
            "PORT": str(self.port),
            "API_KEY": KEY,
            "RATE_LIMIT_PER_MINUTE": "100000",
            **(options or {}),
        }
        with self._terminal.open("wb") as terminal:
            self.process = subprocess.Popen(
                # Ends with this test process, and its guardian then ends what it started.
                [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), sys.executable, "-m", "app.run"],
                stdin=subprocess.DEVNULL,
                stdout=terminal,
                stderr=subprocess.STDOUT,
                env=self.environment,
            )
        self.client = httpx.Client(
            base_url=f"{self.url}/api/v1", headers={"Authorization": f"Bearer {KEY}"}, timeout=60, trust_env=False
        )

    @property
    def said(self) -> str:
        """What it wrote to the terminal."""
        return self._terminal.read_text("utf-8", "replace")

    def wait_until_ready(self) -> None:
        """Return when it says that it is ready."""
        wait_for(lambda: READY in self.said or self.process.poll() is not None, START_DEADLINE_S, self.said[-3000:])
        assert self.process.poll() is None, self.said[-3000:]

    def health(self) -> dict[str, Any]:
        """What `/api/health` answers."""
        return httpx.get(f"{self.url}/api/health", timeout=60, trust_env=False).json()

    def submit(self, name: str, content: bytes, chatbot_id: str = CHATBOT) -> dict[str, Any]:
        """Submit a document; what the API answered."""
        answer = self.client.post("/documents", files={"file": (name, content)}, data={"chatbot_id": chatbot_id})
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return answer.json()

    def task(self, task_id: str) -> dict[str, Any]:
        """A task as it is now."""
        return self.client.get(f"/tasks/{task_id}").raise_for_status().json()

    def outcome(self, task_id: str, deadline_s: float = 120.0) -> dict[str, Any]:
        """A task when it has ended."""
        ended = {"completed", "failed", "dead"}
        wait_for(lambda: self.task(task_id)["state"] in ended, deadline_s, f"outcome of {task_id}")
        return self.task(task_id)

    def chunks(self, source_id: str) -> list[dict[str, Any]]:
        """All chunks of a source, at most 200."""
        return self.client.get(f"/sources/{source_id}/chunks", params={"limit": 200}).raise_for_status().json()["items"]

    def runs(self, task_id: str) -> list[int]:
        """The fencing tokens of the runs that the workers' log tells of, in their order."""
        log = (self.folder / "logs" / "worker.log").read_text("utf-8", "replace")
        found = (RUN_LINE.search(line) for line in log.splitlines())
        return [int(match[3]) for match in found if match and match[1] == task_id]

    def pid_of(self, part: str) -> int:
        """Process id of the supervisor's child whose command line contains `part`."""
        pids = [pid for pid, parent, command in processes() if parent == self.process.pid and part in command]
        assert len(pids) == 1, (part, pids)
        return pids[0]

    def ports(self) -> list[int]:
        """Of the API and of the embedded servers."""
        written = (self.folder / "run.env").read_text("utf-8")
        values = dict(shlex.split(line)[0].partition("=")[::2] for line in written.splitlines())
        return [self.port, *(httpx.URL(values[name]).port or 0 for name in ("REDIS_URL", "MONGO_URL"))]

    def tree(self) -> list[int]:
        """The supervisor and all processes below it."""
        found = [self.process.pid]
        everything = processes()
        for pid in found:
            found += [child for child, parent, _ in everything if parent == pid]
        return found

    def end(self) -> None:
        """Stop it, if it still runs."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@contextmanager
def running(backend: str, folder: Path, options: Mapping[str, str] | None = None) -> Iterator[Running]:
    """The service, ready."""
    service = Running(backend, folder, options)
    try:
        service.wait_until_ready()
        yield service
    finally:
        service.end()


def processes() -> list[tuple[int, int, str]]:
    """Pid, parent's pid and command line of every process that is not dead."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 3) for line in listed.splitlines()]
    return [(int(row[0]), int(row[1]), row[3]) for row in rows if len(row) == 4 and not row[2].startswith("Z")]


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
