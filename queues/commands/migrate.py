"""`queues migrate`: move from one backend to the other while both have workers and producers go on."""

import argparse
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from queues.clock import SystemClock
from queues.commands.session import Exit, Session
from queues.commands.sides import sides
from queues.idempotency.state import State
from queues.idempotency.worker import worker_of
from queues.inspection import Inspector
from queues.migration import Migration, Tally

TELL_EVERY_S = 2.0


def migrate(arguments: argparse.Namespace, session: Session) -> int:
    """Wait until the old backend is empty, or move what is on its queues to the new one."""
    told = _Told(session, arguments.source, arguments.target)
    with (
        sides(arguments.application, arguments.source, arguments.target, session.terminal) as both,
        both.records.inspector() as inspector,
        _stopping(arguments.timeout) as (stopping, is_interrupted),
    ):
        told.workers(inspector, is_moving=arguments.move)
        migration = Migration(
            both.source,
            both.target.backend,
            SystemClock(),
            stopping,
            told.progress,
            lambda: _running(inspector, arguments.source),
        )
        step = migration.move if arguments.move else migration.drain
        tally = migration.look() if arguments.dry_run else step()
    told.end(tally, is_dry_run=arguments.dry_run, is_interrupted=is_interrupted.is_set())
    if is_interrupted.is_set():
        return Exit.INTERRUPTED
    return Exit.DONE if tally.is_empty else Exit.NOT_FOUND


class _Told:
    def __init__(self, session: Session, source: str, target: str) -> None:
        self._session = session
        self._source = source
        self._target = target
        self._next_s = time.monotonic() + TELL_EVERY_S
        self._last = ""

    def workers(self, inspector: Inspector, *, is_moving: bool) -> None:
        """Say it when nothing would run what is there, or what is moved."""
        seen = {worker.backend for worker in inspector.workers()}
        if self._target not in seen:
            self._line(f"No worker of {self._target} was seen in the last half minute: what goes there waits for one.")
        if self._source not in seen and not is_moving:
            self._line(
                f"No worker of {self._source} was seen in the last half minute: what is queued there waits for one. "
                f"--move takes it to {self._target}."
            )

    def progress(self, tally: Tally) -> None:
        """Say how far it is, every now and then."""
        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + TELL_EVERY_S
            held = "" if tally.held is None else f", {tally.held} held by its workers"
            told = f"{tally.moved} moved; {tally.queued} queued on {self._source}{held}"
            if told != self._last:
                self._last = told
                self._line(told)

    def end(self, tally: Tally, *, is_dry_run: bool, is_interrupted: bool) -> None:
        """Say what came of it; the last line is for programs too."""
        if self._session.terminal.is_json:
            self._session.terminal.document(
                {
                    "from": self._source,
                    "to": self._target,
                    "moved": tally.moved,
                    "left": tally.left,
                    "waiting": tally.waiting,
                    "queued": tally.queued,
                    "held": tally.held,
                    "is_held_exact": tally.is_held_exact,
                    "is_empty": tally.is_empty,
                    "is_interrupted": is_interrupted,
                }
            )
            return
        for line in self._advice(tally, is_dry_run=is_dry_run):
            self._line(line)
        if is_interrupted:
            self._line("Interrupted. Each message is on one of the two: run this again to go on.")
        self._line(f"migrate: {tally.moved} moved, {tally.left} left, {tally.waiting} waiting")

    def _advice(self, tally: Tally, *, is_dry_run: bool) -> Iterator[str]:
        source = self._source
        if is_dry_run:
            yield f"{tally.queued} are queued on {source}, {tally.held} are with its workers. Nothing was changed."
            return
        if tally.left:
            yield (
                f"{tally.left} stay: each carries a callback, chain, group or pipeline of {source}'s own, or is no "
                f"message of this application. {source}'s workers end them."
            )
        if queued := max(0, tally.queued - tally.left):
            yield f"{queued} are still queued on {source}: run with --move, or start a worker of it."
        if tally.held:
            yield (
                f"{tally.held} are with {source}'s workers. What a worker holds for later comes "
                "back to its queue when the worker is stopped: then run this again, with --move."
            )
        if tally.is_empty and tally.is_held_exact:
            yield f"Nothing is left on {source}: its workers can be stopped."
        elif tally.is_empty:
            yield (
                f"Nothing is queued or running on {source}. Its broker does not tell what its workers hold for later: "
                "stop them, then run this again, with --move."
            )

    def _line(self, text: str) -> None:
        if not self._session.terminal.is_json:
            self._session.terminal.line(text)


def _running(inspector: Inspector, backend: str) -> int:
    works = inspector.live(states={State.RUNNING.value})
    return sum((worker_of(work.record.execution) or "").startswith(f"{backend}@") for work in works)


@contextmanager
def _stopping(timeout_s: float | None) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Set at the end of the time, or by a signal, so that no message is between two places; the second by a signal."""
    stopping, is_interrupted = threading.Event(), threading.Event()

    def interrupt(*_: Any) -> None:
        is_interrupted.set()
        stopping.set()

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    timer = threading.Timer(timeout_s, stopping.set) if timeout_s is not None else None
    try:
        if timer is not None:
            timer.daemon = True
            timer.start()
        yield stopping, is_interrupted
    finally:
        if timer is not None:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
