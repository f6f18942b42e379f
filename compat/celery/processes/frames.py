"""Pickled values over a socket, each after its length in four bytes."""

import pickle
import socket
import struct
from collections.abc import Iterator
from typing import Any

LENGTH = struct.Struct("!I")
CHUNK_BYTES = 262_144


def packed(value: Any) -> bytes:
    """The frame of a value.

    Raises:
        Exception: whatever pickle raises for what it cannot take.
    """
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(data)) + data


class Frames:
    """Reads frames from a socket."""

    def __init__(self, source: socket.socket) -> None:
        self._source = source
        self._buffer = bytearray()

    def wait(self) -> Any:
        """The next value, once it is there.

        Raises:
            EOFError: the other side is gone.
        """
        while True:
            for value in self._complete():
                return value
            self._read(0)

    def available(self) -> Iterator[Any]:
        """The values that have arrived, without waiting.

        Raises:
            EOFError: the other side is gone; what it had sent was given before.
        """
        try:
            while self._read(socket.MSG_DONTWAIT) == CHUNK_BYTES:
                yield from self._complete()
        except BlockingIOError:
            pass
        yield from self._complete()

    def _read(self, flags: int) -> int:
        try:
            data = self._source.recv(CHUNK_BYTES, flags)
        except ConnectionError as exc:
            raise EOFError from exc
        if not data:
            raise EOFError
        self._buffer += data
        return len(data)

    def _complete(self) -> Iterator[Any]:
        while len(self._buffer) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._buffer)[0]
            if len(self._buffer) < end:
                return
            data = bytes(self._buffer[LENGTH.size : end])
            del self._buffer[:end]
            yield pickle.loads(data)  # noqa: S301 - from our own child
