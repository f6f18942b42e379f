"""A RabbitMQ node of one run, which can be killed and started again on the same port and data."""

import contextlib
import os
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from queues.bench.tether import Tether
from tests.ports import free_port
from tests.rabbit import PASSWORD, SCRIPT, RabbitServer
from tests.servers import ServerStartError
from tests.tether import kill_group


class RabbitNode(RabbitServer):
    """A node for chaos alone; a context manager.

    Args:
        folder: its data, logs and cookie; kept over a restart.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, vhosts=1)
        self._ports = [free_port() for _ in range(3)]
        self.port = self._ports[0]
        self._shell: subprocess.Popen[bytes] | None = None
        self._tether: Tether | None = None
        self._starting: threading.Thread | None = None
        self.is_up = False

    def __enter__(self) -> Self:
        if not SCRIPT.exists():
            msg = f"rabbitmq-server is not installed: {SCRIPT} is missing"
            raise ServerStartError(msg)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_configuration()
        self.start_node()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wait_until_up()
        self.kill()

    def url_at(self, port: int) -> str:
        """The URL for clients that reach it by another port."""
        return f"amqp://guest:{PASSWORD}@127.0.0.1:{port}/test0"

    def start_node(self) -> None:
        """Start it and wait until it takes connections.

        Raises:
            ServerStartError: it was not ready within a minute.
        """
        _, dist_port, epmd_port = self._ports
        script = f"epmd -port {epmd_port} -address 127.0.0.1 & exec {SCRIPT}"
        with (self.folder / "server.log").open("ab") as log:
            self._shell = subprocess.Popen(
                ["sh", "-c", script],
                env=self.environment(dist_port, epmd_port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._tether = Tether(self._shell.pid)
        self.is_up = self._is_ready_in_time()
        if not self.is_up:
            self.kill()
            log_text = (self.folder / "server.log").read_text("utf-8", "replace")
            msg = f"RabbitMQ did not start:\n{log_text[-3000:]}"
            raise ServerStartError(msg)

    def start_behind(self) -> None:
        """Start it in a thread, for it takes about ten seconds; `wait_until_up` waits for that."""
        self._starting = threading.Thread(target=self.start_node, name="chaos-rabbit")
        self._starting.start()

    def wait_until_up(self) -> None:
        """Return when a start that is on its way has ended."""
        if self._starting is not None:
            self._starting.join()
            self._starting = None

    def kill(self, *, is_gentle: bool = False) -> None:
        """End the node: by SIGKILL, or as a supervisor stops it, with ten seconds to end by itself."""
        shell, tether = self._shell, self._tether
        self._shell = self._tether = None
        self.is_up = False
        if shell is None or tether is None:
            return
        if is_gentle:
            shell.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):  # what is left is killed below
                shell.wait(10)
        kill_group(shell.pid)
        shell.wait(10)
        tether.loosen()


def is_installed() -> bool:
    """Whether this machine has RabbitMQ."""
    return SCRIPT.exists() and os.access(SCRIPT, os.X_OK)
