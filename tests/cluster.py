"""A real Valkey cluster on loopback: masters with all slots between them, and replicas."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from tests.ports import free_port
from tests.servers import ServerStartError, ValkeyServer

SLOTS = 16_384
DEADLINE_S = 90.0
JOIN_TIMEOUT_MS = 1_000
"""For how long a node may be silent while the cluster is made: as long, the cluster waits before it takes commands."""
CALM_MS = 30_000
"""The same, afterwards: a node that a busy machine does not run for a second is not gone."""
QUICK_MS = 2_000
"""The same, where a test waits for a node to be called gone."""


class ValkeyCluster:
    """A context manager; `url` is for this library.

    Args:
        folder: where each node has a data folder.
        replicas: how many of the masters have a replica.
        options: more arguments for each node's command line.
        node_timeout_ms: for how long a node may be silent before the others call it gone.
    """

    def __init__(
        self,
        folder: Path,
        *,
        masters: int = 3,
        replicas: int = 0,
        options: Sequence[str] = (),
        node_timeout_ms: int = CALM_MS,
    ) -> None:
        self._node_timeout_ms = node_timeout_ms
        self._stack = ExitStack()
        self._folder = folder
        self._shared = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(JOIN_TIMEOUT_MS), *options)
        self.nodes = [self._node(folder / str(number), self._shared) for number in range(masters + replicas)]
        self.masters, self.replicas = self.nodes[:masters], self.nodes[masters:]

    @staticmethod
    def _node(folder: Path, shared: tuple[str, ...]) -> ValkeyServer:
        # The port of the bus, too, must be below those that the system gives to connections.
        quick = ("--cluster-port", str(free_port()), "--cluster-replica-validity-factor", "0")
        delays = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
        return ValkeyServer(folder, fsync=None, options=(*shared, *quick, *delays))

    @property
    def url(self) -> str:
        """`redis+cluster://127.0.0.1:PORT,127.0.0.1:PORT`."""
        return f"redis+cluster://{','.join(f'127.0.0.1:{node.port}' for node in self.masters)}"

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                self._stack.enter_context(node)
            self._join()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _join(self) -> None:
        share = -(-SLOTS // len(self.masters))
        for number, node in enumerate(self.masters):
            self.ask(node, "CLUSTER", "ADDSLOTSRANGE", number * share, min((number + 1) * share, SLOTS) - 1)
            self.ask(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            self.meet(node)
        self.wait_for(lambda: all(self._knows_all(node) for node in self.nodes))
        for master, replica in zip(self.masters, self.replicas, strict=False):
            self.ask(replica, "CLUSTER", "REPLICATE", self.id_of(master))
        self.wait_for(lambda: all(b"cluster_state:ok" in self.ask(node, "CLUSTER", "INFO") for node in self.nodes))
        for master, _ in zip(self.masters, self.replicas, strict=False):
            self.wait_for(lambda node=master: self.ask(node, "WAIT", 1, 100) >= 1)
        for node in self.nodes:
            self._calm(node)

    def _calm(self, node: ValkeyServer) -> None:
        self.ask(node, "CONFIG", "SET", "cluster-node-timeout", self._node_timeout_ms)

    def meet(self, node: ValkeyServer) -> None:
        """Make a node known to the first one."""
        bus_port = node.options[node.options.index("--cluster-port") + 1]
        self.ask(self.nodes[0], "CLUSTER", "MEET", "127.0.0.1", node.port, bus_port)

    @contextmanager
    def extended(self) -> Iterator[ValkeyServer]:
        """One more master, which holds no slot yet."""
        with self._node(self._folder / "fresh", self._shared) as fresh:
            self.nodes.append(fresh)
            self.meet(fresh)
            self.wait_for(lambda: all(self._knows_all(node) for node in self.nodes))
            self.wait_for(lambda: b"cluster_state:ok" in self.ask(fresh, "CLUSTER", "INFO"))
            self._calm(fresh)
            yield fresh
            self.nodes.remove(fresh)

    @contextmanager
    def moving(self, slot: int, target: ValkeyServer) -> Iterator[None]:
        """Move a slot to another node; inside, it is on its way, with its keys moved already."""
        source = self.holder(slot)
        ids = {node: self.id_of(node) for node in (source, target)}
        self.ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        self.ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        self._migrate(slot, source, target)
        yield
        self._migrate(slot, source, target)
        for node in (target, *(other for other in self.nodes if other is not target)):
            self.ask(node, "CLUSTER", "SETSLOT", slot, "NODE", ids[target])

    def _migrate(self, slot: int, source: ValkeyServer, target: ValkeyServer) -> None:
        while keys := self.ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 100):
            self.ask(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)

    def holder(self, slot: int) -> ValkeyServer:
        """The master that holds a slot."""
        ports = {node.port: node for node in self.nodes}
        found = next(part for part in self.ask(self.nodes[0], "CLUSTER", "SLOTS") if part[0] <= slot <= part[1])
        return ports[found[2][1]]

    def id_of(self, node: ValkeyServer) -> str:
        """The node's id."""
        return str(self.ask(node, "CLUSTER", "MYID").decode())

    def ask(self, node: ValkeyServer, *words: Any) -> Any:
        """One command to one node; the raw reply."""
        with redis.Redis(port=node.port, socket_timeout=5) as client:
            client.response_callbacks.clear()
            return client.execute_command(*words)

    def wait_for(self, is_true: Callable[[], object]) -> None:
        """Return when the claim holds.

        Raises:
            ServerStartError: it did not in time.
        """
        deadline = time.monotonic() + DEADLINE_S
        while not is_true():
            if time.monotonic() > deadline:
                raise ServerStartError("\n".join(node.log[-500:] for node in self.nodes))
            time.sleep(0.02)

    def _knows_all(self, node: ValkeyServer) -> bool:
        lines = self.ask(node, "CLUSTER", "NODES").decode().splitlines()
        return len([line for line in lines if "handshake" not in line]) == len(self.nodes)
