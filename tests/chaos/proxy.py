"""A TCP proxy between the clients and a server, which can be told to treat its connections badly."""

import asyncio
import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

CHUNK_BYTES = 65_536
POLL_S = 0.02
END_DEADLINE_S = 5.0
UP, DOWN = "to the server", "to the client"


class Link:
    """A port of its own before one server; all its methods may be called from any thread.

    Args:
        target_port: of the server, on loopback.
        seed: of the delays.
    """

    def __init__(self, proxy: "Proxy", target_port: int, seed: int) -> None:
        self._proxy = proxy
        self._target_port = target_port
        self._chance = random.Random(seed)
        self._pairs: set[_Pair] = set()
        self._refused_until = 0.0
        self._held_until = 0.0
        self._slow_until = 0.0
        self._slow_s = 0.0
        self._replies_to_lose = 0
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def is_blocked(self) -> bool:
        """Whether nothing gets through now."""
        return time.monotonic() < max(self._refused_until, self._held_until)

    async def open(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Listen no more and reset every connection; called in the proxy's thread."""
        self.heal()
        if self._server is not None:
            self._server.close()
        self._drop()

    def drop(self) -> None:
        """Reset every connection."""
        self._proxy.call(self._drop)

    def refuse(self, seconds: float) -> None:
        """Reset every connection, and each new one for so long."""
        self._refused_until = time.monotonic() + seconds
        self._proxy.call(self._drop)

    def hold(self, seconds: float) -> None:
        """Let nothing pass in either direction for so long; then all of it, as after a parted network."""
        self._held_until = time.monotonic() + seconds

    def slow(self, seconds: float, delay_s: float) -> None:
        """For so long, let each piece pass after up to `delay_s` only."""
        self._slow_s = delay_s
        self._slow_until = time.monotonic() + seconds

    def half_close(self, *, is_client_told: bool) -> None:
        """End one direction of every connection: the client hears no more, or the server does not."""

        def half_close() -> None:
            for pair in [*self._pairs]:
                pair.half_close(is_client_told=is_client_told)

        self._proxy.call(half_close)

    def lose_replies(self, count: int) -> None:
        """Reset the connection in place of passing each of the next `count` replies; the requests were carried out."""
        self._replies_to_lose = count

    def heal(self) -> None:
        """Treat the connections well from now on; those that are broken stay so."""
        self._refused_until = self._held_until = self._slow_until = 0.0
        self._replies_to_lose = 0

    def _drop(self) -> None:
        for pair in [*self._pairs]:
            pair.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = _Pair(writer)
        self._pairs.add(pair)
        try:
            if time.monotonic() < self._refused_until:
                return
            up_reader, pair.server = await asyncio.open_connection("127.0.0.1", self._target_port)
            await asyncio.gather(self._pump(pair, reader, pair.server, UP), self._pump(pair, up_reader, writer, DOWN))
        except OSError:
            pass  # the server is down: the client's connection is reset, as the server's own system would
        finally:
            self._pairs.discard(pair)
            pair.reset()

    async def _pump(
        self, pair: "_Pair", reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str
    ) -> None:
        while data := await reader.read(CHUNK_BYTES):
            if direction is DOWN and self._replies_to_lose > 0:
                self._replies_to_lose -= 1
                pair.reset()
                return
            await self._wait()
            if not writer.is_closing() and direction not in pair.ended:
                writer.write(data)
                await writer.drain()
        pair.end(direction, writer)

    async def _wait(self) -> None:
        now = time.monotonic()
        if now < self._slow_until:
            await asyncio.sleep(self._chance.uniform(0, self._slow_s))
        while time.monotonic() < self._held_until:  # noqa: ASYNC110 - the end may be moved from another thread
            await asyncio.sleep(POLL_S)


class _Pair:
    """A client's connection and the one to the server that was opened for it."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.client = client
        self.server: asyncio.StreamWriter | None = None
        self.ended: set[str] = set()

    def reset(self) -> None:
        """End both at once."""
        for writer in (self.client, self.server):
            if writer is not None and not writer.transport.is_closing():
                connection = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    # Linger of zero: the other side gets RST and not FIN.
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                writer.transport.abort()

    def half_close(self, *, is_client_told: bool) -> None:
        """Send FIN to one side; the other direction goes on."""
        writer = self.client if is_client_told else self.server
        if writer is not None:
            self.end(DOWN if is_client_told else UP, writer)

    def end(self, direction: str, writer: asyncio.StreamWriter) -> None:
        """Say to one side that no more comes."""
        if direction not in self.ended and not writer.transport.is_closing():
            self.ended.add(direction)
            with contextlib.suppress(OSError, RuntimeError):
                writer.write_eof()


class Proxy:
    """Links, served by one thread; a context manager."""

    def __init__(self) -> None:
        self._links: list[Link] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(2 * END_DEADLINE_S)
        self.call(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def link(self, target_port: int, seed: int) -> Link:
        """A new link to a server's port."""
        link = Link(self, target_port, seed)
        self._links.append(link)
        asyncio.run_coroutine_threadsafe(link.open(), self._loop).result(10)
        return link

    def call(self, step: Callable[[], Any]) -> None:
        """Do a step in the proxy's thread."""
        self._loop.call_soon_threadsafe(step)

    async def _end(self) -> None:
        for link in self._links:
            link.close()
        # The connections were reset: what serves them ends by itself.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=END_DEADLINE_S)
