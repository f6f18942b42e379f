"""The line to the standby process of this machine and user, which is started where there is none."""

import json
import logging
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from queues.idempotency.standby import NOT_WATCHED, NoStandby, Standby
from queues.stores.lease_table import Lease, LeaseTable

logger = logging.getLogger(__name__)

IS_POSSIBLE = sys.platform == "linux"
"""The standby must see that a process is stopped, since a stopped worker has to lose its lease: /proc tells."""
VERSION = 1
HEARD = b"heard"
ANSWER_WITHIN_S = 1.0
START_WITHIN_S = 5.0
TRY_AGAIN_AFTER_S = 30.0
STARTER = """
import json, os, sys
if os.fork():  # whoever started it need not wait for its end
    os._exit(0)
sys.path[:] = json.loads(sys.argv[1])
from queues.stores.standby_process import main
main(sys.argv[2])
"""


def standby_for(url: str, prefix: str) -> Standby:
    """A standby for the records at that place."""
    return ProcessStandby(url, prefix) if IS_POSSIBLE else NoStandby()


def usual_name() -> str:
    """The name of this user's standby: one process serves every worker of the user in this PID name space."""
    space = Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    return f"onceq-standby-{VERSION}-{os.getuid()}-{space}"


def address(name: str) -> str:
    """Where the standby of that name listens: a Unix socket in Linux's abstract name space, so that no file is left."""
    return f"\0{name}"


def peer(connection: socket.socket) -> tuple[int, int]:
    """The process and the user at the other end."""
    pid, user, _group = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, user


class ProcessStandby:
    """Shares a table of this process's leases with the standby process.

    Args:
        url: of the records' Redis; told to the process over the socket, which only this user's processes are let to.
        prefix: before the records' keys.
        name: of the standby; None takes the user's own.
    """

    def __init__(self, url: str, prefix: str, name: str | None = None) -> None:
        self._place = (url, prefix)
        self._name = name or usual_name()
        # One a process: a fork may come while another thread holds it.
        self._locks: dict[int, threading.Lock] = {}
        self._pid = 0
        self._table: LeaseTable | None = None
        self._line: socket.socket | None = None
        self._try_at_s = 0.0

    def prepare(self) -> None:
        """Start a standby where there is none, and wait until it listens."""
        self._connect(START_WITHIN_S)

    def watch(self, digest: str, token: int, lease_ms: int, ttl_ms: int, renewed_ms: int) -> int:
        """The row of the lease; the first run of a process waits until a standby listens."""
        if self._pid != os.getpid() or self._line is None:
            self._connect(START_WITHIN_S)
        lease = Lease(digest, token, lease_ms, ttl_ms, renewed_ms)
        return self._table.add(lease) if self._table is not None else NOT_WATCHED

    def renewed(self, number: int, renewed_ms: int) -> None:
        """Note it in the row; when the standby has ended, start another."""
        if self._table is not None and number != NOT_WATCHED:
            self._table.renew(number, renewed_ms)
        if self._line is None or _has_ended(self._line):
            self._connect(patience_s=0)

    def forget(self, number: int) -> None:
        """Free the row."""
        if self._table is not None and number != NOT_WATCHED:
            self._table.remove(number)

    def _connect(self, patience_s: float) -> None:
        # The heartbeat must not wait while a run waits for the standby: its leases would end.
        lock = self._locks.setdefault(os.getpid(), threading.Lock())
        if not lock.acquire(blocking=patience_s > 0):
            return
        try:
            if self._pid != os.getpid():
                self._begin()
            if self._line is not None and _has_ended(self._line):
                self._line.close()
                self._line = None
            if self._line is None:
                self._line = self._connected()
            if self._line is None and time.monotonic() >= self._try_at_s:
                self._line = self._started(patience_s)
        finally:
            lock.release()

    def _begin(self) -> None:
        # After a fork: the parent's table and its line are the parent's.
        self._pid, self._try_at_s, self._table = os.getpid(), 0.0, LeaseTable()
        if self._line is not None:
            self._line.close()
            self._line = None

    def _connected(self) -> socket.socket | None:
        if self._table is None:
            return None
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            line.settimeout(ANSWER_WITHIN_S)
            line.connect(address(self._name))
            if peer(line)[1] == os.getuid():
                socket.send_fds(line, [json.dumps(self._place).encode()], [self._table.fd])
                # A standby that is about to end accepts nobody any more.
                if line.recv(len(HEARD)) == HEARD:
                    return line
        except OSError as exc:
            logger.debug("no standby process yet: %s", exc)
        line.close()
        return None

    def _started(self, patience_s: float) -> socket.socket | None:
        self._try_at_s = time.monotonic() + TRY_AGAIN_AFTER_S
        try:
            subprocess.run(  # noqa: S603 - this interpreter and our own text
                [sys.executable, "-c", STARTER, json.dumps(sys.path), self._name],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # It serves other workers too, which go on when this one is interrupted.
                start_new_session=True,
            )
        except (OSError, subprocess.SubprocessError) as exc:
            logger.warning("no standby process was started: %s", exc)
            return None
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            line = self._connected()
            if line is not None:
                return line
            time.sleep(0.01)
        if patience_s:
            logger.warning("no standby process answers: what holds the interpreter lock for a lease may run twice")
        return None


def _has_ended(line: socket.socket) -> bool:
    # It says nothing after its greeting: a line that can be read was closed.
    return bool(select.select([line], [], [], 0)[0])
