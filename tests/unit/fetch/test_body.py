"""Bodies are expanded within the limit, however their pieces fall."""

import asyncio
import gzip
import tracemalloc
import zlib

import pytest

from app.fetch.body import read_body
from app.fetch.errors import ResponseTooLargeError, UnreachableError

URL = "http://h.test/"


def read(data, coding="", max_bytes=1_000_000, piece_bytes=65536, **options):
    async def pieces():
        for start in range(0, len(data), piece_bytes):
            yield data[start : start + piece_bytes]

    return asyncio.run(read_body(pieces(), coding, max_bytes, URL, **options))


@pytest.mark.parametrize("piece_bytes", [1, 2, 7, 65536])
def test_pieces_of_any_size_give_the_same_body(piece_bytes):
    plain = bytes(range(256)) * 20

    assert read(plain, "", piece_bytes=piece_bytes) == plain
    assert read(gzip.compress(plain) * 2, "gzip", piece_bytes=piece_bytes) == plain * 2
    assert read(zlib.compress(plain), "deflate", piece_bytes=piece_bytes) == plain


def test_an_empty_body_needs_no_compressed_data():
    assert read(b"", "gzip") == b""


def test_a_bomb_takes_no_more_memory_than_the_limit():
    bomb = gzip.compress(b"\0" * 50_000_000, compresslevel=1)
    tracemalloc.start()

    with pytest.raises(ResponseTooLargeError):
        read(bomb, "gzip", max_bytes=1_000_000)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak_bytes < 8_000_000


def test_a_stream_of_empty_members_ends_at_the_wires_limit():
    with pytest.raises(ResponseTooLargeError):
        read(gzip.compress(b"") * 5000, "gzip", max_bytes=50_000)


@pytest.mark.parametrize(("coding", "encode"), [("", bytes), ("gzip", gzip.compress)])
def test_a_body_may_be_cut_at_the_limit(coding, encode):
    assert read(encode(b"x" * 5000), coding, max_bytes=1000, is_cut_at_limit=True) == b"x" * 1000


@pytest.mark.parametrize("kept", [1, 10, -1])
def test_a_stream_without_its_end_is_not_whole(kept):
    with pytest.raises(UnreachableError):
        read(gzip.compress(b"hello" * 100)[:kept], "gzip")
