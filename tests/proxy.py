"""A TCP proxy on loopback that can cut its connections, as a network does."""

import asyncio
import contextlib
import ssl
import threading
from types import TracebackType
from typing import Self


class Proxy:
    """Passes bytes between a port of its own and another; a context manager.

    Args:
        target_port: on loopback.
        tls: what it asks of those that connect; None for plain connections.
    """

    def __init__(self, target_port: int, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self._target_port = target_port
        self._tls = tls
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Close every connection, and refuse new ones until `mend`."""
        self._is_cut = True
        asyncio.run_coroutine_threadsafe(self._close_all(), self._loop).result()

    def mend(self) -> None:
        """Take connections again."""
        self._is_cut = False

    async def _close_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._ended.wait()
        server.close()
        await asyncio.sleep(0)
        # The connections were aborted; their handlers end with them. What was just accepted gets its handler only now.
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            return await _abort(writer)
        try:
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            return await _abort(writer)
        if self._is_cut:  # cut while it was being opened
            return await _abort(writer, target_writer)
        pair = {writer, target_writer}
        self._writers |= pair
        await asyncio.gather(_pass(reader, target_writer), _pass(target_reader, writer))
        self._writers -= pair
        return None


async def _abort(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
