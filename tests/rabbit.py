"""A real RabbitMQ node for the tests: one a session, on loopback, with an epmd and a cookie of its own.

It takes about ten seconds to start, so the xdist workers of a session share it: the first one starts it, and it
ends when the last one lets go of it. Each module has a virtual host of its own.
"""

import base64
import fcntl
import hashlib
import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from queues.bench.rabbit import environment, speaks_amqp
from tests.ports import free_port
from tests.servers import ServerStartError
from tests.tether import hold, tie

SCRIPT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's `rabbitmq-server` on the PATH insists on its own user; the script behind it does not."""
START_DEADLINE_S = 240.0
PASSWORD = "guest"
VHOSTS = 160


class RabbitServer:
    """A RabbitMQ node; it outlives the process that started it, and lives as long as anyone holds `fifo`.

    Args:
        folder: its data, logs and cookie.
        port: of a node that another process started; 0 before `start`.
        vhosts: virtual hosts that it has from the start; each of them takes it a part of a second.
    """

    def __init__(self, folder: Path, port: int = 0, vhosts: int = VHOSTS) -> None:
        self.folder = folder
        self.port = port
        self._vhosts = vhosts

    def url(self, vhost: int) -> str:
        """The URL of one of the node's virtual hosts, for pika and Celery."""
        return f"amqp://guest:{PASSWORD}@127.0.0.1:{self.port}/test{vhost}"

    def start(self, fifo: Path) -> int:
        """A descriptor of `fifo`, once the node takes connections; the node ends when no process has one.

        Raises:
            ServerStartError: it ended, or its virtual hosts were not ready within four minutes.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, dist_port, epmd_port = (free_port() for _ in range(3))
        self._write_configuration()
        # With an epmd of its own in its group; else the node starts one that nobody ends.
        script = f"epmd -port {epmd_port} -address 127.0.0.1 & {SCRIPT} &"
        with (
            (self.folder / "server.log").open("ab") as log,
            subprocess.Popen(
                ["sh", "-c", script],
                env=self.environment(dist_port, epmd_port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as shell,
        ):
            pgid = shell.pid
        held = tie(pgid, fifo)
        if not self._is_ready_in_time():
            os.close(held)
            log_text = (self.folder / "server.log").read_text("utf-8", "replace")
            msg = f"RabbitMQ did not start:\n{log_text[-3000:]}"
            raise ServerStartError(msg)
        return held

    def _is_ready_in_time(self) -> bool:
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            if speaks_amqp(self.port):
                return True
            time.sleep(0.1)
        return False

    def environment(self, dist_port: int, epmd_port: int) -> dict[str, str]:
        """The variables to start the node with; one scheduler is enough for a test."""
        return environment(self.folder, self.port, dist_port, epmd_port, erl_args="+S 1:1")

    def _write_configuration(self) -> None:
        salt = b"salt"
        digest = base64.b64encode(salt + hashlib.sha256(salt + PASSWORD.encode()).digest()).decode()
        vhosts = [f"test{n}" for n in range(self._vhosts)]
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        definitions = {
            "users": [
                {
                    "name": "guest",
                    "password_hash": digest,
                    "hashing_algorithm": "rabbit_password_hashing_sha256",
                    "tags": "administrator",
                }
            ],
            "vhosts": [{"name": vhost} for vhost in vhosts],
            "permissions": [{"user": "guest", "vhost": vhost, **everything} for vhost in vhosts],
        }
        path = self.folder / "definitions.json"
        path.write_text(json.dumps(definitions))
        settings = [
            f"load_definitions = {path}",
            "log.console = true",
            "log.console.level = warning",
            "log.file = false",
            "disk_free_limit.absolute = 1MB",
        ]
        (self.folder / "rabbitmq.conf").write_text("\n".join(settings) + "\n")


@contextmanager
def shared_rabbit(session_folder: Path) -> Iterator[Callable[[], str]]:
    """Gives URLs of virtual hosts that nobody else of the session has, of a node that the session shares.

    Args:
        session_folder: the same for all xdist workers of a session.
    """
    if not SCRIPT.exists():
        if os.environ.get("CI") == "true":
            pytest.fail("rabbitmq-server is required with CI=true and is not installed")
        pytest.skip("rabbitmq-server is not installed")
    folder = session_folder / "rabbit"
    folder.mkdir(exist_ok=True)
    with _locked(folder / "lock"):
        try:
            held = hold(folder / "holders")
            server = RabbitServer(folder / "node", int((folder / "port").read_text()))
        except OSError:
            (folder / "holders").unlink(missing_ok=True)
            server = RabbitServer(folder / f"node-{uuid.uuid4().hex[:6]}")
            held = server.start(folder / "holders")
            (folder / "port").write_text(str(server.port))
            (folder / "vhosts").write_text("0")

    def take_vhost() -> str:
        with _locked(folder / "lock"):
            counter = folder / "vhosts"
            number = int(counter.read_text())
            counter.write_text(str(number + 1))
        return server.url(number)

    try:
        yield take_vhost
    finally:
        os.close(held)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def rabbit_vhost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Gives the URL of a new virtual host at each call; skips where RabbitMQ is not installed, unless CI=true."""
    base = tmp_path_factory.getbasetemp()
    with shared_rabbit(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as take_vhost:
        yield take_vhost
