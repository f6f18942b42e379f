"""A single server's client whose scripts are called without what redis-py does around every command.

Its pool checks a connection out and in under a lock and asks the system whether data waits on it, its retries make
closures, and its packer joins word by word: measured, two thirds of the time that a call takes in this process. Here a
connection is kept aside while it is in order; the connection itself, its replies and its retries are redis-py's.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import redis
import redis.exceptions

T = TypeVar("T")
KEPT = 8
"""Connections kept aside; of more threads that call at once, the others take theirs from the pool every time."""
BROKEN = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError)


class SingleServer(redis.Redis):
    """redis-py's client of one server; EVALSHA, and many commands at once, take the short way."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._aside: list[Any] = []
        # Where the URL allows few connections, none is kept from the others.
        self._kept = KEPT if self.connection_pool.max_connections > 2 * KEPT else 0

    def execute_command(self, *words: Any, **options: Any) -> Any:
        """As redis-py's."""
        if words[0] != "EVALSHA" or options:
            return super().execute_command(*words, **options)  # type: ignore[no-untyped-call] # redis-py
        data = [packed(words)]
        return self._over_one(lambda connection: _exchanged(connection, data))

    def replies(self, commands: Sequence[Sequence[str | int | bytes]]) -> list[Any]:
        """The replies to commands that are sent together; in the place of one may stand the server's error."""
        data = [b"".join(map(packed, commands))]
        return self._over_one(lambda connection: _exchanged_many(connection, data, len(commands)))

    def _over_one(self, step: Callable[[Any], T]) -> T:
        # The list is a stack that needs no lock. A connection is on it only while nothing waits to be read from it:
        # neither a signal's handler nor an exception from outside meets another's reply.
        try:
            connection = self._aside.pop()
        except IndexError:
            connection = self.connection_pool.get_connection()
        try:
            connection.connect()
            try:
                reply = step(connection)
            except BROKEN as exc:
                reply = _again(connection, step, exc)
        except redis.exceptions.ResponseError:
            self.connection_pool.release(connection)
            raise
        except BaseException:
            connection.disconnect()
            self.connection_pool.release(connection)
            raise
        if len(self._aside) < self._kept and not connection.should_reconnect():
            self._aside.append(connection)
        else:
            self.connection_pool.release(connection)
        return reply


def _again(connection: Any, step: Callable[[Any], T], error: Exception) -> T:
    """Go on as redis-py does when a first try ended so."""
    errors = [error]

    def do() -> T:
        if errors:
            raise errors.pop()
        return step(connection)

    reply: T = connection.retry.call_with_retry(do, lambda _: connection.disconnect())
    return reply


def _exchanged(connection: Any, data: list[bytes]) -> Any:
    connection.send_packed_command(data)
    return connection.read_response()


def _exchanged_many(connection: Any, data: list[bytes], count: int) -> list[Any]:
    connection.send_packed_command(data)
    replies: list[Any] = []
    for _ in range(count):
        try:
            replies.append(connection.read_response())
        except redis.exceptions.ResponseError as exc:
            replies.append(exc)
    return replies


def packed(words: Sequence[str | int | bytes]) -> bytes:
    """A command as it travels."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)
