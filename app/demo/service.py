"""The whole service, started from empty data in a folder of its own."""

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

import app.embedded
from app.embedded.ports import free_port
from app.settings import Settings

TETHER = Path(app.embedded.__file__).with_name("tether.py")
READY = "onceq is ready"
READY_WITHIN_S = 60.0
STOP_WITHIN_S = 40.0
RUN_LINE = re.compile(r"\brun (\S+) of (\S+): attempt \d+, token (\d+)$")
"""What a worker logs when it enters a task's function: `app.worker` writes it."""


class ServiceError(RuntimeError):
    """The service did not start; the text carries the end of what it said."""


class Service:
    """`python -m app.run` on free ports, while the block lasts.

    Args of the constructor: the backend, the data folder, and where pages may be fetched besides the public web,
    as `host:port`.
    """

    def __init__(self, backend: str, folder: Path, fetch_allow: str) -> None:
        self.url = ""
        self.key = secrets.token_urlsafe(24)
        self._backend = backend
        self._folder = folder
        self._fetch_allow = fetch_allow
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        port = free_port()
        # Whatever the environment names, the demo works on servers and data of its own.
        named = {name.upper() for name in Settings.model_fields}
        environment = {name: value for name, value in os.environ.items() if name.upper() not in named}
        environment |= {
            "QUEUES_BACKEND": self._backend,
            "DATA_DIR": str(self._folder),
            "PORT": str(port),
            "API_KEY": self.key,
            "FETCH_ALLOW": self._fetch_allow,
            "RATE_LIMIT_PER_MINUTE": "1000000",  # the demo asks for each task's state many times a second
        }
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), sys.executable, "-m", "app.run", "--quiet"],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def runs(self) -> Counter[str]:
        """How often the function of a task was entered, by the task's id; whole once the service is stopped."""
        found: Counter[str] = Counter()
        for log in sorted((self._folder / "logs").glob("worker.log*")):
            for line in log.read_text("utf-8", "replace").splitlines():
                match = RUN_LINE.search(line)
                if match:
                    found[match[1]] += 1
        return found

    @property
    def _said(self) -> Path:
        return self._folder / "terminal.txt"

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        process = self._process
        while process is not None and process.poll() is None and time.monotonic() < deadline:
            if READY in self._said.read_text("utf-8", "replace"):
                return
            time.sleep(0.05)
        end = self._said.read_text("utf-8", "replace")[-3000:]
        msg = f"the service did not start on {self._backend}:\n{end}"
        raise ServiceError(msg)

    def _stop(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
