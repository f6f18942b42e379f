"""A single server's client for an event loop, whose scripts share one connection.

redis-py takes a connection from its pool for each command, writes it by itself and waits for its reply, under timers
and retries of its own: measured, three quarters of the time that a call takes in this process. Here the calls that are
made while the connection is busy go out in one write as soon as it is free, and their replies come in one read. The
connection and its replies are redis-py's.
"""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import redis.asyncio
import redis.exceptions

from queues.stores.single_server import BROKEN, KEPT, SHORT, packed

Asked = tuple[bytes, int, asyncio.Future[list[Any]]]
Command = Sequence[str | int | bytes]


class AsyncSingleServer(redis.asyncio.Redis):
    """redis-py's client of one server; EVALSHA and HMGET go over the shared connection."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Where the URL allows few connections, none is kept from the others.
        self.line = Line(self.connection_pool) if self.connection_pool.max_connections > 2 * KEPT else None

    async def execute_command(self, *words: Any, **options: Any) -> Any:
        """As redis-py's."""
        if self.line is None or words[0] not in SHORT or options:
            return await super().execute_command(*words, **options)  # type: ignore[no-untyped-call] # redis-py
        return await self.line.reply(packed(words))

    def sent(self, commands: Sequence[Command]) -> asyncio.Future[list[Any]] | None:
        """Send commands when the loop goes on; their replies are awaited with `received`."""
        return None if self.line is None else self.line.ask(_joined(commands), len(commands))

    async def received(self, commands: Sequence[Command], sent: asyncio.Future[list[Any]] | None) -> list[Any]:
        """The replies to commands; in the place of one may stand the server's error."""
        if self.line is None or sent is None:
            pipe = self.pipeline(transaction=False)
            for words in commands:
                pipe.execute_command(*words)
            return list(await pipe.execute(raise_on_error=False))
        return await self.line.replies(_joined(commands), len(commands), sent)


class NoReplyError(redis.exceptions.ConnectionError):
    """The connection broke, or its reply did not come in time: the command may have been carried out."""


class Line:
    """One connection, and who waits for replies on it, in order.

    Args:
        pool: where the connection comes from; closing the pool closes it.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._connection: Any = None
        self._asked: list[Asked] = []
        self._exchange: asyncio.Task[None] | None = None

    async def reply(self, data: bytes) -> Any:
        """The reply to a command that is packed."""
        (reply,) = await self.replies(data, 1, self.ask(data, 1))
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def replies(self, data: bytes, count: int, sent: asyncio.Future[list[Any]]) -> list[Any]:
        """The replies to what was asked; it is asked once more when there are none."""
        try:
            return await sent
        except NoReplyError:
            # A connection that broke, or a reply that did not come: on a new one, which is tried for at length while
            # the server is away.
            return await self.ask(data, count)

    def ask(self, data: bytes, count: int) -> asyncio.Future[list[Any]]:
        """The replies to commands, to be awaited; in the place of one may stand the server's error.

        Its errors are NoReplyError, when the commands were sent, perhaps in part, and no reply will come; and those of
        redis-py, and OSError, when there is no connection.
        """
        reply: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._asked.append((data, count, reply))
        if self._exchange is None:
            self._exchange = asyncio.create_task(self._exchange_all())
        return reply

    async def _exchange_all(self) -> None:
        """Send what was asked and give out the replies, until nobody asks."""
        sent: list[Asked] = []
        try:
            while self._asked:
                connection = self._connection = self._connection or await self._pool.get_connection()
                sent, self._asked = self._asked, []
                try:
                    # One timer for them all: redis-py's own would be a task for the write, and one a reply.
                    async with asyncio.timeout(connection.socket_timeout):
                        await _write(connection, b"".join(data for data, _, _ in sent))
                        for _, count, reply in sent:
                            _give(reply, [await _read(connection) for _ in range(count)])
                    # Those that were answered go on first: what they ask next goes out in the same write.
                    await asyncio.sleep(0)
                except BROKEN as exc:
                    await self._give_up()
                    _give_all(sent, NoReplyError(str(exc)))
        except Exception as exc:  # noqa: BLE001 whoever asked is told
            _give_all(self._asked, exc)
        finally:
            # Cut off, because the loop ends: the connection is of no use to another.
            _give_all([*sent, *self._asked], NoReplyError("the event loop ends"))
            self._asked = []
            self._exchange = None

    async def _give_up(self) -> None:
        connection, self._connection = self._connection, None
        await connection.disconnect(nowait=True)
        await self._pool.release(connection)


def _joined(commands: Sequence[Command]) -> bytes:
    return b"".join(map(packed, commands))


async def _write(connection: Any, data: bytes) -> None:
    writer = connection._writer  # redis-py has no public name for its stream
    if writer is None or connection.health_check_interval:
        await connection.send_packed_command([data])
        return
    writer.write(data)
    await writer.drain()


async def _read(connection: Any) -> Any:
    try:
        return await connection.read_response(timeout=math.inf)
    except redis.exceptions.ResponseError as exc:
        return exc


def _give_all(asked: Sequence[Asked], error: Exception) -> None:
    for _, _, reply in asked:
        _give(reply, error)


def _give(reply: asyncio.Future[list[Any]], value: list[Any] | Exception) -> None:
    if reply.done():  # whoever waited was cancelled, or has been told
        return
    if isinstance(value, Exception):
        reply.set_exception(value)
    else:
        reply.set_result(value)
