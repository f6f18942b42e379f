"""One child, as the main process sees it."""

import os
import signal as signals
import socket
from collections.abc import Iterator
from typing import Any

from compat.celery.processes.child import READY
from compat.celery.processes.frames import Frames
from compat.celery.processes.job import Job


class Member:
    """A child, its connection and the job that it has."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._frames = Frames(connection)
        self.pid = 0
        self.job: Job | None = None
        self.was_ready = False
        self.is_closed = False
        self._is_leaving = False

    def fileno(self) -> int:
        """Readable when the child has said something."""
        return self._connection.fileno()

    @property
    def is_idle(self) -> bool:
        """Whether it may get a job."""
        return self.was_ready and self.job is None and not self._is_leaving and not self.is_closed

    def give(self, job: Job, frame: bytes) -> bool:
        """Hand over a job; False if the child is gone."""
        try:
            self._connection.sendall(frame)
        except OSError:
            self.is_closed = True
            return False
        self.job = job
        return True

    def read(self) -> Iterator[tuple[Job, tuple[bool, Any]]]:
        """The jobs that it has ended, and what came of each."""
        if self.is_closed:
            return
        try:
            for value in self._frames.available():
                if value == READY:
                    self.was_ready = True
                    continue
                number, outcome, is_last = value
                self._is_leaving = self._is_leaving or is_last
                job, self.job = self.job, None
                if job is not None and job.number == number:
                    yield job, outcome
        except EOFError:
            self.is_closed = True

    def signal(self, number: int) -> None:
        """Send it a signal; harmless when it is gone."""
        if not self.pid:
            return
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            self._is_leaving = True
        if number in (signals.SIGTERM, signals.SIGKILL):
            self._is_leaving = True

    def retire(self) -> None:
        """Let it end when it has nothing to do."""
        self._is_leaving = True
        try:
            self._connection.shutdown(socket.SHUT_WR)
        except OSError:
            self.is_closed = True

    def close(self) -> None:
        """Forget it."""
        self.is_closed = True
        self._connection.close()
