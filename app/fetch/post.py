"""One POST to an address that the operator named, through the same guard as every fetch."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import httpcore
import httpx

from app.fetch.address import AddressPolicy
from app.fetch.client import user_agent
from app.fetch.errors import FetchTimeoutError, HttpStatusError
from app.fetch.transport import GuardedBackend, RefusedError, resolve, translate
from app.fetch.url import normalize

_MAX_RETRY_AFTER_DIGITS = 5
"""A day has 86,400 seconds: a longer number is no wait that anyone means."""


@dataclass(frozen=True, slots=True)
class Post:
    """What is sent: where to, the body as it goes over the wire, and its headers."""

    url: str
    body: bytes
    headers: Mapping[str, str]


async def post(request: Post, policy: AddressPolicy, total_s: float = 15.0) -> int:
    """The status of the answer, 200 to 299; the answer's body is not read.

    No redirect is followed: what was signed for one address must not reach another. Each call opens its own
    connection, so that it may run on any loop.

    Args:
        request: what to send.
        policy: which addresses and ports may be reached.
        total_s: for everything: name, connection, TLS handshake, sending, the answer's head.

    Raises:
        FetchError: see the tree in `app.fetch.errors`; HttpStatusError for any other status.
    """
    url = normalize(request.url)
    parts = httpx.URL(url)
    headers = {
        "Host": parts.netloc.decode("ascii"),
        "User-Agent": user_agent(),
        "Accept": "*/*",
        "Content-Length": str(len(request.body)),
        "Connection": "close",
        **request.headers,
    }
    try:
        async with asyncio.timeout(total_s):
            return await _status(url, headers, request.body, policy, total_s)
    except TimeoutError as exc:
        raise FetchTimeoutError(url, f"not answered after {total_s:g} seconds") from exc


async def _status(url: str, headers: Mapping[str, str], body: bytes, policy: AddressPolicy, total_s: float) -> int:
    ssl_context = await asyncio.to_thread(httpx.create_ssl_context, trust_env=False)
    timeout = dict.fromkeys(("connect", "read", "write", "pool"), total_s)
    try:
        async with (
            httpcore.AsyncConnectionPool(
                ssl_context=ssl_context, network_backend=GuardedBackend(policy, resolve)
            ) as pool,
            pool.stream(
                "POST", url, headers=list(headers.items()), content=body, extensions={"timeout": timeout}
            ) as answer,
        ):
            status = int(answer.status)
            retry_after = httpx.Headers(answer.headers).get("retry-after", "").strip()
    except (
        httpcore.NetworkError,
        httpcore.TimeoutException,
        httpcore.ProtocolError,
        httpcore.UnsupportedProtocol,
        RefusedError,
        OSError,
    ) as exc:
        raise translate(exc, url) from exc
    if not 200 <= status <= 299:
        raise HttpStatusError(url, status, _seconds(retry_after))
    return status


def _seconds(retry_after: str) -> float | None:
    """The wait that the answer asks for; None for a date, which a webhook has no reason to send."""
    is_number = retry_after.isascii() and retry_after.isdecimal() and len(retry_after) <= _MAX_RETRY_AFTER_DIGITS
    return float(retry_after) if is_number else None
