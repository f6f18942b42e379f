"""A child: runs one task after the other through Celery's tracer, and tells what came of each."""

import multiprocessing
import os
import resource
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Any

from billiard.common import clear_terminate_handler_fired, reset_signals, terminate_handler_fired
from billiard.einfo import ExceptionInfo
from billiard.exceptions import SoftTimeLimitExceeded
from billiard.pool import MaybeEncodingError
from billiard.process import current_process
from celery.concurrency.prefork import process_destructor, process_initializer
from celery.utils.log import get_logger

from compat.celery.processes.frames import Frames, packed

logger = get_logger(__name__)

READY = "ready"
EX_RECYCLE = 0x9B
"""billiard's exit status of a child that has done its share."""


@dataclass(frozen=True, slots=True)
class Share:
    """After what a child is replaced; None is never."""

    max_tasks: int | None
    max_memory_kib: int | None


class Child:
    """What runs in a child process.

    Args:
        inherited: the connection to the worker's main process.
        index: counts the children of a worker from 1, as Celery's log names them.
    """

    def __init__(self, inherited: socket.socket, index: int, share: Share) -> None:
        self._connection = inherited
        self._index = index
        self._share = share
        self._is_running = False

    def run(self, app: Any, hostname: str) -> int:
        """Serve until the connection ends or the share is done; returns the exit status."""
        process = current_process()
        process._name, process.index = f"ForkPoolWorker-{self._index}", self._index - 1
        multiprocessing.current_process().name = process._name
        clear_terminate_handler_fired()
        process_initializer(app, hostname)
        # SIGTERM raises SystemExit, so that a terminated task's finally blocks run.
        reset_signals(full=False)
        signal.signal(signal.SIGUSR1, self._on_soft_limit)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._connection.sendall(packed(READY))
        return self._serve()

    def _on_soft_limit(self, *_: Any) -> None:
        # It may arrive after the task has ended.
        if self._is_running:
            raise SoftTimeLimitExceeded

    def _serve(self) -> int:
        frames, done = Frames(self._connection), 0
        while True:
            try:
                number, target, args, kwargs = frames.wait()
            except EOFError:
                return 0
            outcome, leaving = self._outcome(target, args, kwargs)
            done += 1
            is_last = leaving is not None or self._is_done(done)
            self._connection.sendall(_reply(number, outcome, is_last))
            if is_last:
                return EX_RECYCLE if leaving is None else leaving

    def _outcome(self, target: Any, args: Any, kwargs: Any) -> tuple[tuple[bool, Any], int | None]:
        """What the task returned or raised, and the exit status if it wants to leave."""
        try:
            self._is_running = True
            try:
                return (True, target(*args, **kwargs)), None
            finally:
                self._is_running = False
        except (SystemExit, KeyboardInterrupt) as exc:
            if terminate_handler_fired():
                raise
            code = getattr(exc, "code", 1)
            return (False, ExceptionInfo()), code if isinstance(code, int) else 1
        except BaseException:
            if terminate_handler_fired():
                raise
            return (False, ExceptionInfo()), None

    def _is_done(self, done: int) -> bool:
        limit_kib = self._share.max_memory_kib
        if limit_kib and (used_kib := _used_kib()) > limit_kib:
            logger.warning("child process exiting after exceeding memory limit (%sKiB / %sKiB)", used_kib, limit_kib)
            return True
        return bool(self._share.max_tasks) and done >= (self._share.max_tasks or 0)


def _used_kib() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def _reply(number: int, outcome: tuple[bool, Any], is_last: bool) -> bytes:
    try:
        return packed((number, outcome, is_last))
    except Exception as exc:  # noqa: BLE001 - pickle raises what the value's own methods raise
        wrapped = MaybeEncodingError(exc, outcome[1])
        info = ExceptionInfo((MaybeEncodingError, wrapped, exc.__traceback__))
        return packed((number, (False, info), is_last))


def serve(inherited: socket.socket, index: int, share: Share, app: Any, hostname: str) -> None:
    """Be a child until the end of the process; never returns."""
    status = 1
    try:
        status = Child(inherited, index, share).run(app, hostname)
    except SystemExit as exc:
        status = exc.code if isinstance(exc.code, int) else 1
    except BaseException:
        logger.exception("A child process cannot go on.")
    finally:
        try:
            process_destructor(os.getpid(), status)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status & 0xFF)
