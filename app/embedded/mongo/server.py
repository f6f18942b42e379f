"""The server: connections in, commands to their handlers, replies out."""

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Any

from app.embedded.mongo import expiry
from app.embedded.mongo.commands.command import Command, parse
from app.embedded.mongo.commands.table import Entry, Table
from app.embedded.mongo.cursors import Cursors
from app.embedded.mongo.engine import Engine
from app.embedded.mongo.errors import CommandError, NestingTooDeepError
from app.embedded.mongo.storage import Storage
from app.embedded.mongo.wire import HEADER_BYTES, Request, WireError, read_header, read_request, write_reply

MESSAGE_S = 60.0
"""A client that began a message must send the rest of it within this time."""

_log = logging.getLogger(__name__)


class Server:
    """Serves one storage on one address.

    Args:
        storage: the data.
        expire_every_s: how often documents past their TTL are removed and idle cursors ended.
    """

    def __init__(self, storage: Storage, expire_every_s: float = 60.0) -> None:
        self._storage = storage
        self._expire_every_s = expire_every_s
        self._cursors = Cursors()
        self._table = Table(self._cursors)
        self._numbers = itertools.count(1)
        self._connections: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._expiry: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Accept connections; returns the port, which the system chose when it was 0.

        Raises:
            OSError: the address cannot be used.
        """
        self._listener = await asyncio.start_server(self._serve, host, port, backlog=512)
        self._expiry = asyncio.create_task(self._expire())
        return int(self._listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Accept no more and close all connections; commands that run are finished, and not answered."""
        if self._listener is not None:
            self._listener.close()
        tasks = list(self._connections)
        if self._expiry is not None:
            tasks.append(self._expiry)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._connections.add(task)
        number = next(self._numbers)
        try:
            while True:
                header = read_header(await reader.readexactly(HEADER_BYTES))
                async with asyncio.timeout(MESSAGE_S):
                    data = await reader.readexactly(header.body_bytes)
                request = read_request(header, data)
                reply = await self._answer(request, number)
                if request.wants_reply:
                    writer.write(reply)
                    await writer.drain()
        except WireError as exc:
            _log.warning("connection %d closed: %s", number, exc)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError, asyncio.CancelledError):
            _log.debug("connection %d ended", number)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, request: Request, connection: int) -> bytes:
        try:
            return write_reply(request, {**await self._run(request, connection), "ok": 1.0})
        except CommandError as exc:
            document = exc.reply()
        except RecursionError:
            document = NestingTooDeepError("the command is nested too deeply").reply()
        except Exception as exc:  # noqa: BLE001 see below
            # The outermost loop of a connection: a defect of ours must not take the others' server away.
            _log.exception("a command failed: %s", next(iter(request.body), ""))
            document = CommandError(f"internal error: {type(exc).__name__}: {exc}").reply()
        return write_reply(request, document)

    async def _run(self, request: Request, connection: int) -> dict[str, Any]:
        command = parse(request.body)
        entry = self._table.find(command.name)
        entry.check(command)
        if entry.status is not None:
            return entry.status(command, connection)
        return await self._storage.run(_work(entry, command))

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(self._expire_every_s)
            try:
                await self._storage.run(lambda _: self._cursors.end_idle())
                has_more = True
                while has_more:
                    has_more = await self._storage.run(expiry.remove_expired)
            except CommandError as exc:
                _log.warning("removing expired documents failed, it will be tried again: %s", exc)


def _work(entry: Entry, command: Command) -> Callable[[Engine], dict[str, Any]]:
    def work(engine: Engine) -> dict[str, Any]:
        command.check_time()
        if entry.data is None:
            raise CommandError("the command has no handler")
        return entry.data(engine, command)

    return work
