"""A response's body, decompressed and counted as it comes.

httpx's own decoders expand each received chunk without a bound, and several codings on top of each other:
64 KiB from the wire may become 64 MiB, and then 64 GiB. Here at most the limit plus one byte is expanded.
"""

import zlib
from collections.abc import AsyncIterator
from typing import Protocol

from app.fetch.errors import ResponseTooLargeError, UnreachableError, UnsupportedContentError

_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class _Decoder(Protocol):
    @property
    def is_whole(self) -> bool:
        """Whether the data ended where the coding says that it ends."""

    def decode(self, data: bytes, max_bytes: int) -> bytes:
        """At most `max_bytes` of what `data` expands to."""


class _Identity:
    is_whole = True

    def decode(self, data: bytes, max_bytes: int) -> bytes:
        return data[:max_bytes]


class _Inflate:
    """gzip (also several members in a row) or deflate (with or without zlib's header: servers send both)."""

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._inflate = zlib.decompressobj(window_bits)
        self._has_begun = False

    @property
    def is_whole(self) -> bool:
        return self._inflate.eof

    def decode(self, data: bytes, max_bytes: int) -> bytes:
        parts = bytearray()
        while data and len(parts) < max_bytes:
            if self._inflate.eof:
                if self._window_bits != _GZIP_WINDOW or not data.startswith(b"\x1f"):
                    break  # what follows the end of the stream is padding
                self._inflate = zlib.decompressobj(self._window_bits)
            parts += self._expand(data, max_bytes - len(parts))
            data = self._inflate.unconsumed_tail or self._inflate.unused_data
        return bytes(parts)

    def _expand(self, data: bytes, max_bytes: int) -> bytes:
        try:
            part = self._inflate.decompress(data, max_bytes)
        except zlib.error:
            if self._window_bits != zlib.MAX_WBITS or self._has_begun:
                raise
            self._window_bits = -zlib.MAX_WBITS
            self._inflate = zlib.decompressobj(self._window_bits)
            part = self._inflate.decompress(data, max_bytes)
        self._has_begun = True
        return part


async def read_body(
    chunks: AsyncIterator[bytes],
    content_encoding: str,
    max_bytes: int,
    url: str,
    *,
    is_cut_at_limit: bool = False,
) -> bytes:
    """The whole body, without its content coding.

    Args:
        chunks: the body as it comes from the wire.
        content_encoding: the response's header of that name, "" if it has none.
        max_bytes: the most that is kept, counted after decompression; the wire's bytes are held to it too.
        url: what an error names.
        is_cut_at_limit: give the first `max_bytes` of a longer body, where otherwise it is an error.

    Raises:
        ResponseTooLargeError: longer than `max_bytes`.
        UnsupportedContentError: a coding other than gzip and deflate, several of them, or broken data.
        UnreachableError: the compressed stream ends before its end.
    """
    decoder = _decoder(content_encoding, url)
    body = bytearray()
    wire_bytes = 0
    async for chunk in chunks:
        wire_bytes += len(chunk)
        try:
            body += decoder.decode(chunk, max_bytes + 1 - len(body))
        except zlib.error as exc:
            raise UnsupportedContentError(url, f"not valid {content_encoding} data") from exc
        if max(len(body), wire_bytes) > max_bytes:
            if is_cut_at_limit:
                return bytes(body[:max_bytes])
            raise ResponseTooLargeError(url, max_bytes)
    if wire_bytes and not decoder.is_whole:
        raise UnreachableError(url, "the connection broke before the end of the page")
    return bytes(body)


def _decoder(content_encoding: str, url: str) -> _Decoder:
    match content_encoding.strip().lower():
        case "" | "identity":
            return _Identity()
        case "gzip" | "x-gzip":
            return _Inflate(_GZIP_WINDOW)
        case "deflate":
            return _Inflate(zlib.MAX_WBITS)
    raise UnsupportedContentError(url, f"content coding {content_encoding[:40]!r} was not asked for")
