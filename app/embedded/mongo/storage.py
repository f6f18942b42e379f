"""The one thread that owns the database: it runs commands one after another and syncs them together.

SQLite's handle belongs to one thread. Commands that wait at the same time become one transaction with one
sync to the disk (group commit); each is a savepoint of its own, so that one which fails undoes only itself.
A command is answered after the sync, never before.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from app.embedded.mongo.engine import Engine
from app.embedded.mongo.errors import CommandError

T = TypeVar("T")

_log = logging.getLogger(__name__)

MAX_GROUP = 256
"""The most commands that share one sync."""

GROUP_S = 0.005
"""After this long no further command joins a group, so that a slow read does not hold the others' answers."""


@dataclass(frozen=True, slots=True)
class _Request:
    work: Callable[[Engine], Any]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"


class Storage:
    """Runs functions on the storage thread.

    Args:
        path: the SQLite file.

    Raises:
        DataFormatError: the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._opened: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, args=(path,), name="storage", daemon=True)
        self._thread.start()
        failure = self._opened.get()
        if failure is not None:
            raise failure

    async def run(self, work: Callable[[Engine], T]) -> T:
        """The answer of `work`, when all that it changed is on the disk.

        Raises:
            CommandError: `work` refused, and all its changes are undone; or the disk did.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._requests.put(_Request(work, loop, future))
        return await future

    def close(self) -> None:
        """Finish the commands that wait, and close the database."""
        self._requests.put(None)
        self._thread.join()

    def _serve(self, path: Path) -> None:
        try:
            engine = Engine(path)
        except Exception as exc:  # noqa: BLE001 the constructor raises it in the caller's thread
            self._opened.put(exc)
            return
        self._opened.put(None)
        while (request := self._requests.get()) is not None:
            self._run_group(engine, request)
        engine.close()

    def _run_group(self, engine: Engine, request: _Request | None) -> None:
        group: list[_Request] = []
        answers: list[Any] = []
        until = time.monotonic() + GROUP_S
        try:
            engine.connection.execute("BEGIN")
            while request is not None:
                group.append(request)
                answers.append(_run(engine, request))
                request = self._waiting() if len(group) < MAX_GROUP and time.monotonic() < until else None
            engine.connection.execute("COMMIT")
        except sqlite3.Error as exc:
            if engine.connection.in_transaction:
                engine.connection.execute("ROLLBACK")
            engine.reload()
            answers = [CommandError(f"the storage failed, nothing of the command is kept: {exc}")] * len(group)
        _deliver(group, answers)

    def _waiting(self) -> _Request | None:
        try:
            request = self._requests.get_nowait()
        except queue.Empty:
            return None
        if request is None:
            self._requests.put(None)  # the end is for the outer loop
        return request


def _run(engine: Engine, request: _Request) -> Any:
    engine.connection.execute("SAVEPOINT command")
    before = engine.connection.total_changes
    try:
        answer = request.work(engine)
    except Exception as exc:
        if not engine.connection.in_transaction:
            raise sqlite3.OperationalError(str(exc)) from exc
        engine.connection.execute("ROLLBACK TO command")
        if engine.connection.total_changes != before:
            engine.reload()
        answer = exc
    engine.connection.execute("RELEASE command")
    return answer


def _deliver(group: list[_Request], answers: list[Any]) -> None:
    def settle() -> None:
        for request, answer in zip(group, answers, strict=True):
            if request.future.done():
                continue  # its connection was closed meanwhile
            if isinstance(answer, BaseException):
                request.future.set_exception(answer)
            else:
                request.future.set_result(answer)

    try:
        group[0].loop.call_soon_threadsafe(settle)
    except RuntimeError:  # the server stopped meanwhile: the work is stored, and nobody waits for its answer
        _log.debug("%d commands were finished after the stop", len(group))
