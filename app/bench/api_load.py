"""The API as a process of its own, asked over 32 connections; BENCH_PATH says what."""

import asyncio
import json
import os
import socket
import time
from collections.abc import Iterator
from functools import cache
from itertools import count as counted

from app.bench import surroundings
from app.embedded.ports import free_port

CONNECTIONS = 32
"""Enough to keep the API busy, whoever is asked: eight mostly wait for one write of MongoDB, all at once, and then its
latency is what is timed."""
STARTS_WITHIN_S = 60.0
_numbers = counted()


@cache
def _environment() -> dict[str, str]:
    return {**surroundings.settings(), "PORT": str(free_port())}


def worker(_: int) -> list[str]:
    """The service's API, with one route more, which answers a constant."""
    return surroundings.command(_environment(), "-m", "app.bench.api_with_a_constant")


def load(count: int) -> None:
    """Make `count` requests, each for other work.

    Raises:
        ValueError: one was not accepted, or two were taken for the same.
    """
    _wait()
    identities = asyncio.run(_load(range(count)))
    wanted = count if "tasks" in os.environ["BENCH_PATH"] else 1
    if len(set(identities)) != wanted or len(identities) != count:
        message = f"of {count} requests {len(identities)} were accepted, as {len(set(identities))} different ones"
        raise ValueError(message)


async def _load(numbers: range) -> list[str]:
    identities: list[str] = []
    waiting = iter(numbers)
    await asyncio.gather(*(_ask(waiting, identities) for _ in range(CONNECTIONS)))
    return identities


async def _ask(numbers: Iterator[int], identities: list[str]) -> None:
    """Requests over one connection, written and read by hand: a client library would take the server's processor."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(_environment()["PORT"]))
    for _ in numbers:
        writer.write(_request(next(_numbers)))
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(int(length.partition(b":")[2]))
        if head.split(b" ", 2)[1] != b"202":
            message = f"answered {head.decode()}{body.decode()}"
            raise ValueError(message)
        identities.append(json.loads(body)["id"])
    writer.close()
    await writer.wait_closed()


def _request(number: int) -> bytes:
    body = json.dumps({"kwargs": {"user_id": f"user-{number}", "title": "Ready", "message": "It is done."}}).encode()
    return (
        f"POST {os.environ['BENCH_PATH']} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {_environment()['API_KEY']}\r\nIdempotency-Key: bench-key-{number:08d}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _wait() -> None:
    deadline_s = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", int(_environment()["PORT"])), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
        else:
            return
