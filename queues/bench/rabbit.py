"""A RabbitMQ of the benchmark's own, on loopback and free ports, where `rabbitmq-server` is installed."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from queues.bench.machine import family_cpu_s
from queues.bench.tether import Tether
from queues.errors import InvalidOptionError

SCRIPTS = (Path("/usr/lib/rabbitmq/bin/rabbitmq-server"), Path("/usr/local/sbin/rabbitmq-server"))
"""Debian's `rabbitmq-server` on the PATH insists on its own user; the script behind it does not."""
START_WITHIN_S = 60.0
STOP_WITHIN_S = 10.0


class Rabbit:
    """A node with an epmd of its own; its user is `guest`, which it takes from loopback alone.

    Raises:
        InvalidOptionError: it is not installed, or does not start.
    """

    def __init__(self) -> None:
        script = next((path for path in SCRIPTS if path.exists()), None)
        if script is None:
            msg = "rabbitmq-server is not installed; --rabbitmq-url names one that runs"
            raise InvalidOptionError(msg)
        self._folder = Path(tempfile.mkdtemp(prefix="onceq-bench-rabbit-"))
        self._port, dist_port, epmd_port = _free_ports(3)
        (self._folder / "rabbitmq.conf").write_text("disk_free_limit.absolute = 1MB\n", "utf-8")
        # With an epmd in its group; else the node starts one that nobody ends.
        command = f"epmd -port {epmd_port} -address 127.0.0.1 & exec {script}"
        with (self._folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the installed server
                ["/bin/sh", "-c", command],
                env=environment(self._folder, self._port, dist_port, epmd_port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._tether = Tether(self._process.pid, self._folder)
        try:
            self._wait()
        except BaseException:
            self._end()
            raise

    @property
    def url(self) -> str:
        """For clients."""
        return f"amqp://guest:guest@127.0.0.1:{self._port}/%2F"

    @property
    def cpu_s(self) -> float:
        """What it has computed so far."""
        return family_cpu_s(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            self._process.poll()
        self._process.wait(STOP_WITHIN_S)
        self._tether.loosen()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if speaks_amqp(self._port):
                return
            time.sleep(0.1)
        log = (self._folder / "server.log").read_text("utf-8", "replace")
        msg = f"RabbitMQ did not start: {log[-500:]}"
        raise InvalidOptionError(msg)


def environment(folder: Path, port: int, dist_port: int, epmd_port: int, *, erl_args: str = "") -> dict[str, str]:
    """The variables with which a node keeps to loopback and to its folder; the places that they name are made.

    Args:
        folder: the node's; its configuration is `rabbitmq.conf` there.
        port, dist_port, epmd_port: for clients, other nodes, and the epmd that the node asks.
        erl_args: more options of Erlang's.
    """
    for name in ("mnesia", "log", "home"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "plugins").write_text("[].", "utf-8")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))},
        "HOME": str(folder / "home"),
        "RABBITMQ_NODENAME": f"onceq-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(dist_port),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-kernel inet_dist_use_interface {{127,0,0,1}} {erl_args}",
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }


def speaks_amqp(port: int) -> bool:
    """Whether a node takes connections there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as probe:
            probe.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(probe.recv(8))
    except OSError:
        return False


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
