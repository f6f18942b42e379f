"""A small process that forks the children, for a main process that must not fork any more.

The main process has threads: a fork copies the locks that they hold, never to be released. The nursery is forked
before the first thread starts, stays single-threaded, and forks again whenever a child has to be replaced.
"""

import os
import select
import signal
import socket
import struct
from collections import deque
from collections.abc import Iterator
from typing import Any

from celery import platforms

from compat.celery.processes.child import Share, serve
from compat.celery.processes.member import Member

NOTICE = struct.Struct("!cIi")
"""Kind, process id, exit status: negative for a signal's number."""
ORDER = struct.Struct("!I")
"""The index of the child to fork; its connection travels beside it."""
BORN, GONE = b"b", b"g"


class Nursery:
    """The main process's side.

    Args:
        app: the application, finalized and with its tasks imported.
        hostname: of the worker.
    """

    def __init__(self, app: Any, hostname: str, share: Share) -> None:
        self._connection, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self._connection.close()
            _Forker(theirs, app, hostname, share).run()
        theirs.close()
        self._buffer = bytearray()
        self.is_gone = False
        self._unborn: deque[Member] = deque()
        self._born: dict[int, Member] = {}

    def fileno(self) -> int:
        """Readable when there are notices."""
        return self._connection.fileno()

    @property
    def members(self) -> list[Member]:
        """The children, and those that are ordered."""
        return [*self._born.values(), *self._unborn]

    def fork(self, index: int) -> Member:
        """Order a child. It has a process id when its notice has come."""
        ours, theirs = socket.socketpair()
        socket.send_fds(self._connection, [ORDER.pack(index)], [theirs.fileno()])
        theirs.close()
        member = Member(ours)
        self._unborn.append(member)
        return member

    def gone(self) -> Iterator[tuple[Member, int]]:
        """The children that have ended since the last time, and their exit status."""
        try:
            while data := self._connection.recv(4096, socket.MSG_DONTWAIT):
                self._buffer += data
            self.is_gone = True
        except BlockingIOError:
            pass
        except ConnectionError:
            self.is_gone = True
        while len(self._buffer) >= NOTICE.size:
            kind, pid, status = NOTICE.unpack_from(self._buffer)
            del self._buffer[: NOTICE.size]
            if kind == BORN:
                member = self._born[pid] = self._unborn.popleft()
                member.pid = pid
            else:
                yield self._born.pop(pid), status

    def close(self) -> None:
        """End the nursery; its children end with it."""
        # Closing alone does not tell it: the nursery that takes its place was forked with a copy of this end.
        self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            return


class _Forker:
    """The nursery's side."""

    def __init__(self, connection: socket.socket, app: Any, hostname: str, share: Share) -> None:
        self._connection = connection
        self._app = app
        self._hostname = hostname
        self._share = share
        self._wake, self._woken = socket.socketpair()

    def run(self) -> None:
        """Fork and reap until the main process is gone; never returns."""
        try:
            platforms.set_pdeathsig("SIGKILL")
            # What ends the main process reaches it, and the nursery ends with it.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1):
                signal.signal(number, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, lambda *_: None)
            self._wake.setblocking(False)
            signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
            while self._step():
                pass
        finally:
            os._exit(0)

    def _step(self) -> bool:
        readable, _, _ = select.select([self._connection, self._woken], [], [])
        if self._woken in readable:
            self._woken.recv(4096)
            self._reap()
        if self._connection in readable:
            data, descriptors, _, _ = socket.recv_fds(self._connection, ORDER.size, 1)
            if not data:
                return False
            self._fork(ORDER.unpack(data)[0], socket.socket(fileno=descriptors[0]))
        return True

    def _fork(self, index: int, theirs: socket.socket) -> None:
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1):
                signal.signal(number, signal.SIG_DFL)
            for held in (self._connection, self._wake, self._woken):
                held.close()
            serve(theirs, index, self._share, self._app, self._hostname)
        theirs.close()
        self._connection.sendall(NOTICE.pack(BORN, pid, 0))

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._connection.sendall(NOTICE.pack(GONE, pid, os.waitstatus_to_exitcode(status)))
