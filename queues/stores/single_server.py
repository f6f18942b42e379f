"""A single server's client whose scripts are called without what redis-py does around every command.

Its pool checks a connection out and in under a lock and asks the system whether data waits on it, its retries make
closures, and its packer joins word by word: measured, two thirds of the time that a call takes in this process. Here a
connection is kept aside while it is in order; the connection itself, its replies and its retries are redis-py's.
"""

import importlib
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import redis
import redis.exceptions

pack_command: Callable[[tuple[str | int | bytes, ...]], bytes] | None
try:
    pack_command = importlib.import_module("hiredis").pack_command  # in half of the time
except ModuleNotFoundError:
    pack_command = None

T = TypeVar("T")
KEPT = 8
"""Connections kept aside; of more threads that call at once, the others take theirs from the pool every time."""
SHORT = frozenset({"EVALSHA", "HMGET"})
"""Commands whose replies redis-py gives as they are."""
BROKEN = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError)


class SingleServer(redis.Redis):
    """redis-py's client of one server; EVALSHA, HMGET, and many commands at once, take the short way."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._aside: list[Any] = []
        self._pid = os.getpid()
        # Where the URL allows few connections, none is kept from the others.
        self._kept = KEPT if self.connection_pool.max_connections > 2 * KEPT else 0

    def execute_command(self, *words: Any, **options: Any) -> Any:
        """As redis-py's."""
        if words[0] not in SHORT or options:
            return super().execute_command(*words, **options)  # type: ignore[no-untyped-call] # redis-py
        return self.reply(packed(words))

    def reply(self, data: bytes) -> Any:
        """The reply to a command that is packed."""
        return self.over_one(_exchanged, data, 1)

    def replies(self, commands: Sequence[Sequence[str | int | bytes]]) -> list[Any]:
        """The replies to commands that are sent together; in the place of one may stand the server's error."""
        return self.over_one(exchanged_many, b"".join(map(packed, commands)), len(commands))

    def over_one(self, step: Callable[[Any, bytes, int], T], data: bytes, count: int) -> T:
        """What the step makes of a connection; it is done again, as redis-py does, when the connection breaks."""
        connection = self.taken()
        try:
            if not connection.is_connected:
                connection.connect()
            try:
                reply = step(connection, data, count)
            except BROKEN as exc:
                reply = _again(connection, lambda: step(connection, data, count), exc)
        except redis.exceptions.ResponseError:
            self.connection_pool.release(connection)
            raise
        except BaseException:
            connection.disconnect()
            self.connection_pool.release(connection)
            raise
        self.give_back(connection)
        return reply

    def taken(self) -> Any:
        """A connection, from aside or from the pool."""
        # The list is a stack that needs no lock. A connection is on it only while nothing waits to be read from it:
        # neither a signal's handler nor an exception from outside meets another's reply.
        if self._pid != os.getpid():
            # What was kept before a fork is the parent's.
            self._pid, self._aside = os.getpid(), []
        try:
            return self._aside.pop()
        except IndexError:
            return self.connection_pool.get_connection()

    def give_back(self, connection: Any) -> None:
        """Keep a connection on which nothing waits to be read."""
        if len(self._aside) < self._kept and not connection.should_reconnect():
            self._aside.append(connection)
        else:
            self.connection_pool.release(connection)


def _again(connection: Any, step: Callable[[], T], error: Exception) -> T:
    """Go on as redis-py does when a first try ended so."""
    errors = [error]

    def do() -> T:
        if errors:
            raise errors.pop()
        return step()

    reply: T = connection.retry.call_with_retry(do, lambda _: connection.disconnect())
    return reply


def _exchanged(connection: Any, data: bytes, _: int) -> Any:
    connection.send_packed_command((data,))
    return connection.read_response()


def exchanged_many(connection: Any, data: bytes, count: int) -> list[Any]:
    """The replies to commands; in the place of one may stand the server's error."""
    connection.send_packed_command((data,))
    return read_many(connection, count)


def read_many(connection: Any, count: int) -> list[Any]:
    """The next replies."""
    replies: list[Any] = []
    for _ in range(count):
        try:
            replies.append(connection.read_response())
        except redis.exceptions.ResponseError as exc:
            replies.append(exc)
    return replies


def packed(words: Sequence[str | int | bytes]) -> bytes:
    """A command as it travels."""
    if pack_command is None:
        return _packed(words)
    try:
        return pack_command(tuple(words))
    except TypeError:  # a number that is not quite an int, such as an enum's
        return _packed(words)


def _packed(words: Sequence[str | int | bytes]) -> bytes:
    flat: list[int | bytes] = []
    for word in words:
        data = word if type(word) is bytes else str(word).encode()
        flat += (len(data), data)
    # One formatting of all takes three quarters of the time of one for each.
    return (b"*%d\r\n" % len(words)) + (b"$%d\r\n%b\r\n" * len(words)) % tuple(flat)
