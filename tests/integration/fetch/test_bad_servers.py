"""Servers that send too much, too slowly, half of it, or nothing."""

import gzip
import time
import zlib

import pytest

from app.fetch.address import AddressPolicy
from app.fetch.client import Client, FetchLimits
from app.fetch.errors import (
    FetchTimeoutError,
    ResponseTooLargeError,
    UnreachableError,
    UnsupportedContentError,
)


def test_a_body_at_the_limit_passes_and_one_byte_more_does_not(site, new_client, fetch, failure):
    site.answer("/fits", b"x" * 1000)
    site.answer("/over", b"x" * 1001)
    limits = FetchLimits(max_bytes=1000)

    fine = fetch(new_client(limits), f"{site.url}/fits")
    error = failure(new_client(limits), f"{site.url}/over")

    assert len(fine.body) == 1000
    assert isinstance(error, ResponseTooLargeError)
    assert (error.max_bytes, error.is_retryable) == (1000, False)


def test_a_body_without_end_is_left_at_the_limit(site, new_client, failure):
    def pour(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Connection", "close")
        handler.end_headers()
        while not site.is_stopping.is_set():
            handler.wfile.write(b"x" * 65536)

    site.routes["/"] = pour

    error = failure(new_client(), site.url)

    assert isinstance(error, ResponseTooLargeError)


def test_a_gzip_bomb_is_left_at_the_limit(site, new_client, failure):
    site.answer("/", gzip.compress(b"\0" * 50_000_000, compresslevel=1), Content_Encoding="gzip")

    error = failure(new_client(), site.url)

    assert isinstance(error, ResponseTooLargeError)


# Ids of their own: the compressed bytes hold the time, and xdist wants the same ids in every process.
@pytest.mark.parametrize(
    ("coding", "body"),
    [
        pytest.param("gzip", gzip.compress(b"hello"), id="gzip"),
        pytest.param("x-gzip", gzip.compress(b"hel") + gzip.compress(b"lo"), id="two-members"),
        pytest.param("gzip", gzip.compress(b"hello") + b"\0" * 10, id="padded"),
        pytest.param("deflate", zlib.compress(b"hello"), id="zlib"),
        pytest.param("deflate", zlib.compress(b"hello", wbits=-15), id="raw-deflate"),
        pytest.param("identity", b"hello", id="identity"),
    ],
)
def test_compressed_bodies_are_read(site, new_client, coding, body, fetch):
    site.answer("/", body, Content_Encoding=coding)

    response = fetch(new_client(), site.url)

    assert response.body == b"hello"


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "zstd", "gzip"])
def test_codings_we_did_not_ask_for_and_broken_data_are_refused(site, new_client, coding, failure):
    site.answer("/", b"not compressed at all", Content_Encoding=coding)

    error = failure(new_client(), site.url)

    assert isinstance(error, UnsupportedContentError)


def test_a_compressed_body_that_ends_early_is_not_taken_for_whole(site, new_client, failure):
    site.answer("/", gzip.compress(b"hello" * 1000)[:-9], Content_Encoding="gzip")

    error = failure(new_client(), site.url)

    assert isinstance(error, UnreachableError)
    assert error.is_retryable


def test_a_server_that_closes_half_way_is_not_taken_for_whole(site, new_client, failure):
    def half(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.close_connection = True

    site.routes["/"] = half

    error = failure(new_client(), site.url)

    assert isinstance(error, UnreachableError)
    assert error.is_retryable


def test_a_server_that_closes_at_once_is_unreachable(site, new_client, failure):
    def close(handler):
        handler.close_connection = True

    site.routes["/"] = close

    error = failure(new_client(), site.url)

    assert isinstance(error, UnreachableError)


def test_what_is_not_http_is_unreachable(site, new_client, failure):
    def babble(handler):
        handler.wfile.write(b"220 mail.example.com ESMTP\r\n")
        handler.close_connection = True

    site.routes["/"] = babble

    error = failure(new_client(), site.url)

    assert isinstance(error, UnreachableError)


def test_headers_without_end_are_left(site, new_client, failure):
    def pour(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not site.is_stopping.is_set():
            handler.wfile.write(b"X-A: " + b"x" * 1000 + b"\r\n")

    site.routes["/"] = pour

    error = failure(new_client(), site.url)

    assert isinstance(error, UnreachableError)


def test_a_slow_drip_ends_at_the_total_time(site, new_client, failure):
    def drip(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        while not site.is_stopping.wait(0.05):
            handler.wfile.write(b"x")

    site.routes["/"] = drip
    began_s = time.monotonic()

    error = failure(new_client(FetchLimits(total_s=0.6, read_s=60)), site.url)

    assert isinstance(error, FetchTimeoutError)
    assert error.is_retryable
    assert time.monotonic() - began_s < 20


def test_a_silent_server_ends_at_the_read_time(silent_port, failure):
    client = Client(AddressPolicy.parse(allow=f"127.0.0.1:{silent_port}"), FetchLimits(read_s=0.2))

    error = failure(client, f"http://127.0.0.1:{silent_port}/")

    assert isinstance(error, FetchTimeoutError)


def test_a_port_on_which_nobody_listens_is_unreachable(closed_port, failure):
    client = Client(AddressPolicy.parse(allow=f"127.0.0.1:{closed_port}"))

    error = failure(client, f"http://127.0.0.1:{closed_port}/")

    assert isinstance(error, UnreachableError)
    assert error.is_retryable
