"""Commands to a single server that are sent while the replies to those before them have not been read."""

from collections import deque
from collections.abc import Sequence
from typing import Any

from queues.stores.single_server import BROKEN, SingleServer, exchanged_many, packed, read_many

Command = Sequence[str | int | bytes]


class Flow:
    """One connection of a `SingleServer`, which goes back to it only when nothing waits to be read.

    What a connection that broke has left unanswered is sent again, as redis-py does it, one batch after another.
    """

    def __init__(self, server: SingleServer) -> None:
        self._server = server
        self._connection: Any = None
        self._is_broken = False
        self._errors: list[Exception] = []
        self._waiting: deque[tuple[bytes, int]] = deque()

    def send(self, commands: Sequence[Command]) -> None:
        """Send commands, and do not wait for their replies."""
        data = b"".join(map(packed, commands))
        # First, so that what is left in the middle of sending counts as unread.
        self._waiting.append((data, len(commands)))
        if self._is_broken:
            return
        try:
            if self._connection is None:
                self._connection = self._server.taken()
                self._connection.connect()
            # redis-py's look at a connection's health would take the next reply that waits for the one to its PING.
            self._connection.send_packed_command((data,), check_health=len(self._waiting) == 1)
        except BROKEN as exc:
            self._errors.append(exc)
            self._drop()

    def receive(self) -> list[Any]:
        """The replies to the oldest commands that wait; in the place of one may stand the server's error."""
        data, count = self._waiting[0]
        replies: list[Any] | None = None
        if not self._is_broken:
            try:
                replies = read_many(self._connection, count)
            except BROKEN as exc:
                self._errors.append(exc)
                self._drop()
        if replies is None:
            replies = self._server.over_one(self._again, data, count)
        self._waiting.popleft()
        return replies

    def close(self) -> None:
        """Give the connection back, or up."""
        if self._waiting:
            self._drop()
        elif self._connection is not None:
            connection, self._connection = self._connection, None
            self._server.give_back(connection)

    def _again(self, connection: Any, data: bytes, count: int) -> list[Any]:
        if self._errors:
            raise self._errors.pop()  # whether it is worth another try, and when, redis-py says
        return exchanged_many(connection, data, count)

    def _drop(self) -> None:
        self._is_broken = True
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
            self._server.connection_pool.release(connection)
