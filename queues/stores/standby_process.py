"""The standby process: renews the leases of workers whose own threads cannot run.

One a user of a machine. It starts with the first guarded run, listens on a Unix socket, and ends when the last worker
has gone. A worker that ended, or is stopped, gets nothing renewed.
"""

import json
import os
import selectors
import signal
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from queues.errors import StoreUnavailableError
from queues.idempotency.state import Heartbeat
from queues.stores.lease_table import Lease, LeaseReader
from queues.stores.redis import RedisStore
from queues.stores.standby import HEARD, address, peer

LONGEST_PLACE_BYTES = 8192
LINGER_S = 2.0
"""How long it waits for another worker; one that is restarted finds it."""
LOOKS_PER_LEASE = 10
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 0.5
STOPPED = frozenset("TtZX")
"""States of a process, as proc(5) has them, in which none of its threads runs on: stopped, traced, ended."""


@dataclass(slots=True)
class Worker:
    """A process whose leases are looked after.

    Args:
        born: when it was started, in the kernel's ticks; another process of the same id has another.
        renewed: when a token's lease was renewed here.
    """

    pid: int
    born: str
    line: socket.socket
    leases: LeaseReader | None = None
    keeper: "Keeper | None" = None
    renewed: dict[int, int] = field(default_factory=dict)

    @property
    def is_running(self) -> bool:
        """Whether it is there and not stopped."""
        state, born = state_of(self.pid)
        return state not in STOPPED and born == self.born

    def late(self, now_ms: int) -> list[Lease]:
        """Leases that were left alone for half of their time."""
        leases = [*self.leases] if self.leases is not None else []
        tokens = {lease.token for lease in leases}
        self.renewed = {token: at_ms for token, at_ms in self.renewed.items() if token in tokens}
        return [
            lease
            for lease in leases
            if now_ms - max(lease.renewed_ms, self.renewed.get(lease.token, 0)) > lease.lease_ms // 2
        ]


def state_of(pid: int) -> tuple[str, str]:
    """The state of a process, and when it was started; `X` when it is not there."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return fields[0], fields[19]
    except (OSError, IndexError):
        return "X", ""


class Keeper(threading.Thread):
    """Renews what is due at one Redis: a server that does not answer holds up its own leases only."""

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(name="onceq-keeper", daemon=True)
        self.place = (url, prefix)
        self.workers: list[Worker] = []
        self.lock = threading.Lock()
        self._store = RedisStore(url, prefix=prefix)

    def run(self) -> None:
        """Look as long as there are workers."""
        while self.workers:
            time.sleep(self.look())
        self._store.close()

    def look(self) -> float:
        """Renew each lease that its process left alone; for how many seconds the next look may wait."""
        now_ms = time.monotonic_ns() // 1_000_000
        with self.lock:
            late = [(worker, lease) for worker in self.workers for lease in worker.late(now_ms)]
            shortest_ms = min((w.leases.shortest_lease_ms for w in self.workers if w.leases is not None), default=0)
        running = {worker.pid for worker, _ in late if worker.is_running}
        due = [(worker, lease) for worker, lease in late if worker.pid in running]
        try:
            answers = self._store.apply_each([(d.digest, Heartbeat(d.token, d.lease_ms, d.ttl_ms)) for _, d in due])
        except StoreUnavailableError:
            return SHORTEST_PAUSE_S
        for (worker, lease), answer in zip(due, answers, strict=True):
            if not isinstance(answer, StoreUnavailableError):  # as of one node of a cluster
                worker.renewed[lease.token] = now_ms
        return min(max(shortest_ms / LOOKS_PER_LEASE / 1000, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)


class Listener:
    """Lets workers in, and sees them go."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._selector = selectors.DefaultSelector()
        self._selector.register(listening, selectors.EVENT_READ)
        self._keepers: dict[tuple[str, str], Keeper] = {}

    def serve(self) -> None:
        """Listen until no worker has been there for `LINGER_S`."""
        while True:
            has_workers = len(self._selector.get_map()) > 1
            events = self._selector.select(None if has_workers else LINGER_S)
            if not events and not has_workers:
                return
            for key, _ in events:
                if key.fileobj is self._listening:
                    self._accept()
                elif not self._is_let_in(key.data):
                    self._leave(key.data)

    def _accept(self) -> None:
        line, _ = self._listening.accept()
        pid, user = peer(line)
        state, born = state_of(pid)
        if user != os.getuid() or state in STOPPED:
            line.close()
            return
        self._selector.register(line, selectors.EVENT_READ, Worker(pid, born, line))

    def _is_let_in(self, worker: Worker) -> bool:
        try:
            said, fds, _, _ = socket.recv_fds(worker.line, LONGEST_PLACE_BYTES, 1)
            if not said or worker.keeper is not None:
                return False
            url, prefix = map(str, json.loads(said))
            worker.leases = LeaseReader(fds[0])
            os.close(fds[0])
            self._join(worker, url, prefix)
            worker.line.send(HEARD)
        except (OSError, ValueError, TypeError, IndexError):
            return False  # it has gone, or is none of this version
        return True

    def _join(self, worker: Worker, url: str, prefix: str) -> None:
        keeper = self._keepers.get((url, prefix))
        if keeper is None:
            keeper = self._keepers[url, prefix] = Keeper(url, prefix)
        worker.keeper = keeper
        with keeper.lock:
            keeper.workers.append(worker)
        if not keeper.is_alive():
            keeper.start()

    def _leave(self, worker: Worker) -> None:
        self._selector.unregister(worker.line)
        worker.line.close()
        keeper = worker.keeper
        if keeper is not None:
            with keeper.lock:
                keeper.workers.remove(worker)
            if not keeper.workers:  # its thread ends
                del self._keepers[keeper.place]
        if worker.leases is not None:
            worker.leases.close()


def main(name: str) -> None:
    """Serve under that name; return at once when another standby already does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Without one of its threads it would only seem to stand by; the workers start another.
    threading.excepthook = lambda _: os._exit(1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        try:
            listening.bind(address(name))
        except OSError:
            return
        listening.listen(512)
        Listener(listening).serve()
