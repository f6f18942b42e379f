"""The run of a task in this process, and what the task may ask of it: `current`."""

import ctypes
import hashlib
import json
import secrets
import threading
import time
from contextvars import ContextVar
from typing import Any

from queues import waking
from queues.errors import LeaseLostError, SoftTimeLimitError, TaskCancelledError, TimeLimitError
from queues.idempotency.state import Answer
from queues.limits.concurrency import Slot
from queues.message import Message


class StopRunError(BaseException):
    """Ends a running task from outside; not an Exception, so that the task's own handlers let it pass."""


class Run:
    """One attempt that holds a lease, or, with `lease_ms` 0, one that runs unguarded.

    Args:
        attempt: 1 for the first.
        answer: what the store said to its end; None before.
        is_ending: its end is being written; what the store says to that counts, and not what it says to a renewal.
        created_ms: when the work was first asked for, by the store; 0 when it was not asked.
        lost: workers that died on this work before.
        begun_ms: when it began, by the monotonic clock of this process.
        slot: what the run holds of its task's concurrency; None when that has no limit.
    """

    def __init__(
        self,
        message: Message,
        *,
        token: int,
        lease_ms: int,
        attempt: int,
        created_ms: int,
        lost: int = 0,
        begun_ms: int = 0,
    ) -> None:
        self.message = message
        self.token = token
        self.lease_ms = lease_ms
        self.attempt = attempt
        self.lost = lost
        self.created_ms = created_ms
        self.begun_ms = begun_ms
        self.is_lost = False
        self.is_cancelled = False
        self.is_ending = False
        self.is_ended = False
        self.answer: Answer | None = None
        self.progress = ""
        self.slot: Slot | None = None
        self._limit_s: float | None = None
        self._lock = threading.Lock()
        self._thread_id: int | None = None
        self._task: Any = None
        self._is_reminded = False
        self._is_interrupted = False

    @property
    def following(self) -> bytes:
        """The message of the run that follows this one; empty when none does, or before this one has ended."""
        return self.answer.message if self.answer is not None else b""

    @property
    def waited_ms(self) -> int | None:
        """How long the work was queued before its first attempt; None for a later one."""
        if self.attempt > 1 or self.lost:
            return None
        # Both by the store's clock: a token is its time, in microseconds, unless that went back.
        began_ms, asked_ms = self.token // 1000, self.created_ms
        if asked_ms >= began_ms and self.message.created_ms:
            # The record is as old as the run: a task system's own message, whose producer asked no store.
            asked_ms = self.message.created_ms
        return max(0, began_ms - asked_ms)

    @property
    def is_over(self) -> bool:
        """Whether the run was ended by its time limit."""
        return self._limit_s is not None

    @property
    def is_running(self) -> bool:
        """Whether the task's function has begun and has not ended."""
        return self._thread_id is not None

    def check(self) -> None:
        """Return if the task should go on.

        Raises:
            LeaseLostError: another worker may run it now.
            TaskCancelledError: somebody cancelled it.
            TimeLimitError: it has run for its time limit.
        """
        if self.is_lost:
            raise LeaseLostError(self.message.digest, self.token)
        if self.is_cancelled:
            raise TaskCancelledError(self.message.digest)
        if self._limit_s is not None:
            raise TimeLimitError(self.message.digest, self._limit_s)

    def enter(self, coroutine_task: Any = None) -> None:
        """The task's function begins, in this thread or as that asyncio task."""
        waking.prepare()
        with self._lock:
            self._thread_id = threading.get_ident()
            self._task = coroutine_task

    def leave(self) -> None:
        """The task's function has ended; from here on nothing interrupts the thread."""
        with self._lock:
            # Only of a run that was interrupted: CPython goes the slow way round its loop from such a call on.
            if self._thread_id is not None and self._is_interrupted:
                _set_async_exception(self._thread_id, None)
            self._thread_id = None
            self._task = None

    def stop(self, *, is_lost: bool) -> None:
        """Make the task end as soon as it runs Python code again; called by the heartbeat's thread."""
        with self._lock:
            was_stopped = self.is_lost or self.is_cancelled
            if is_lost:
                self.is_lost = True
            else:
                self.is_cancelled = True
            if not was_stopped:
                self._interrupt(StopRunError)

    def remind(self) -> bool:
        """Raise SoftTimeLimitError in the task, once; False when its function is not running."""
        with self._lock:
            if self._thread_id is None:
                return False
            if not (self.is_lost or self.is_cancelled):
                self._interrupt(SoftTimeLimitError)
            return True

    def take_reminder(self) -> bool:
        """Whether the cancellation that reached the asyncio task is a reminder of its soft limit, and nothing else."""
        with self._lock:
            is_reminded, self._is_reminded = self._is_reminded, False
            return is_reminded

    def end(self, limit_s: float) -> bool:
        """Make the task end since its time is over; False when its function is not running."""
        with self._lock:
            if self._thread_id is None:
                return False
            self._limit_s = limit_s
            if not (self.is_lost or self.is_cancelled):
                self._interrupt(StopRunError)
            return True

    def _interrupt(self, kind: type[BaseException]) -> None:
        self._is_reminded = kind is SoftTimeLimitError
        if self._task is not None:
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)
        elif self._thread_id is not None:
            self._is_interrupted = True
            _set_async_exception(self._thread_id, kind)
            waking.wake(self._thread_id, lambda: self.is_running)


def _set_async_exception(thread_id: int, kind: type[BaseException] | None) -> None:
    exception = ctypes.py_object(kind) if kind is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), exception)


_RUN: ContextVar[Run | None] = ContextVar("onceq_run", default=None)


def set_current(run: Run | None) -> None:
    """Make `run` what `current` speaks of in this thread or asyncio task."""
    _RUN.set(run)


def current_run() -> Run | None:
    """The run that this code belongs to; None in a plain call."""
    return _RUN.get()


class Current:
    """What a task may ask of its own run. In a plain call it answers as an unguarded first attempt would."""

    @property
    def token(self) -> int:
        """The fencing token: a number that rises with each run of the same work; write it beside your data."""
        run = _RUN.get()
        return run.token if run is not None else time.time_ns() // 1000

    @property
    def message_id(self) -> str:
        """The id that the submission's handle shows; empty in a plain call."""
        run = _RUN.get()
        return run.message.id if run is not None else ""

    @property
    def attempt(self) -> int:
        """1 for the first attempt."""
        run = _RUN.get()
        return run.attempt if run is not None else 1

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody cancelled the task."""
        run = _RUN.get()
        return run is not None and run.is_cancelled

    def subkey(self, name: str) -> str:
        """32 hex digits that are the same in every attempt of this work: an idempotency key for a step of it.

        Work that is asked for again after its outcome expired is other work, and has other subkeys.
        """
        run = _RUN.get()
        work = f"{run.message.digest} {run.created_ms}" if run is not None else secrets.token_hex(20)
        return hashlib.sha256(f"{work}\x00{name}".encode()).hexdigest()[:32]

    def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """Say how far the task is; kept in memory and sent with the next renewal, at most four times a second."""
        run = _RUN.get()
        if run is not None:
            run.progress = json.dumps([done, total, note[:200]], separators=(",", ":"))

    def check(self) -> None:
        """Return if the task should go on.

        Raises:
            LeaseLostError: another worker may run it now.
            TaskCancelledError: somebody cancelled it.
            TimeLimitError: it has run for its time limit.
        """
        run = _RUN.get()
        if run is not None:
            run.check()


current = Current()
