"""The one way a page is fetched: each address checked, each limit counted, each redirect looked at again."""

import asyncio
import email.utils
import importlib.metadata
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

import httpcore
import httpx

from app.fetch.address import AddressPolicy
from app.fetch.body import read_body
from app.fetch.errors import (
    FetchTimeoutError,
    HttpStatusError,
    InsecureRedirectError,
    InvalidUrlError,
    TooManyRedirectsError,
    UnsupportedContentError,
)
from app.fetch.transport import NETWORK_ERRORS, GuardedBackend, GuardedTransport, Resolver, resolve, translate
from app.fetch.url import join, normalize

PRODUCT = "onceq"
"""The name that robots.txt files know us by."""

PAGE_TYPES = frozenset({"text/html", "application/xhtml+xml", "text/plain"})

Check = Callable[[str], Awaitable[None]]
"""Looks at a URL before it is asked for; refuses it by raising."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_RETRY_AFTER_S = 86_400.0
_CHARSET = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9_.:+-]{1,40})""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How much one fetch may take.

    Args:
        max_bytes: of the body, after decompression.
        total_s: for everything: names, connections, redirects, bodies.
        connect_s: for one name look-up, one connection, one TLS handshake.
        read_s: for the next bytes to come.
        max_redirects: in a row.
    """

    max_bytes: int = 5 * 1024 * 1024
    total_s: float = 30.0
    connect_s: float = 5.0
    read_s: float = 10.0
    max_redirects: int = 5


@dataclass(frozen=True, slots=True)
class Response:
    """What came back.

    Attributes:
        url: where it came from, after redirects, normalised.
        status: 200 to 299.
        headers: names in lower case; repeated ones joined by commas.
        body: decompressed.
        charset: what the Content-Type header says, as it says it; None if it does not.
    """

    url: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    charset: str | None

    @property
    def content_type(self) -> str:
        """The media type without parameters, in lower case; "" if the server named none."""
        return _media_type(self.headers)


def user_agent() -> str:
    """Who we say we are: the product and its installed version."""
    return f"{PRODUCT}/{importlib.metadata.version(PRODUCT)}"


class Client:
    """Fetches pages, only from where the policy permits. Use it as `async with`, in one event loop.

    Sends no cookies, no credentials and no referrer, keeps none, and uses no proxy and no netrc.

    Args:
        policy: which addresses and ports may be reached.
        limits: for a fetch that names no others.
        resolver: how names become addresses; the system's unless a test says otherwise.
        ssl_context: whose certificates are believed; certifi's authorities by default.
        network: opens the socket once its address is judged; plain TCP by default.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        limits: FetchLimits | None = None,
        *,
        resolver: Resolver = resolve,
        ssl_context: ssl.SSLContext | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self.limits = limits or FetchLimits()
        # The transport itself and no `httpx.AsyncClient`: that one keeps cookies, reads netrc, and parses every
        # Location header, raising at those that only look odd, before we can judge them.
        self._transport = GuardedTransport(
            GuardedBackend(policy, resolver, network),
            ssl_context or httpx.create_ssl_context(trust_env=False),
        )
        self._headers = {
            "User-Agent": user_agent(),
            "Accept": "text/html, application/xhtml+xml, text/plain;q=0.9, */*;q=0.1",
            "Accept-Encoding": "gzip, deflate",
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes every connection; the client cannot be used again."""
        await self._transport.aclose()

    async def fetch(
        self,
        url: str,
        *,
        content_types: frozenset[str] | None = PAGE_TYPES,
        limits: FetchLimits | None = None,
        check: Check | None = None,
        is_cut_at_limit: bool = False,
    ) -> Response:
        """What is at `url`, redirects followed.

        Args:
            url: http or https, without credentials.
            content_types: what is accepted; None for anything.
            limits: instead of the client's own.
            check: called with the URL before each request, also those that a redirect leads to; what it
                raises ends the fetch.
            is_cut_at_limit: give the beginning of a body that is too large, where otherwise it is an error.

        Raises:
            FetchError: see the tree in `app.fetch.errors`.
        """
        limits = limits or self.limits
        first = current = normalize(url)
        try:
            async with asyncio.timeout(limits.total_s):
                for _ in range(limits.max_redirects + 1):
                    if check is not None:
                        await check(current)
                    answer = await self._ask(current, first, content_types, limits, is_cut_at_limit=is_cut_at_limit)
                    if isinstance(answer, Response):
                        return answer
                    current = answer
        except TimeoutError as exc:
            raise FetchTimeoutError(first, f"not finished after {limits.total_s:g} seconds") from exc
        raise TooManyRedirectsError(first, f"more than {limits.max_redirects} redirects")

    async def _ask(
        self,
        url: str,
        first: str,
        content_types: frozenset[str] | None,
        limits: FetchLimits,
        *,
        is_cut_at_limit: bool,
    ) -> Response | str:
        """One request: the response, or where it redirects to. Errors name `first`, the caller's own URL."""
        timeout = httpx.Timeout(limits.read_s, connect=limits.connect_s, pool=limits.total_s)
        request = httpx.Request("GET", url, headers=self._headers, extensions={"timeout": timeout.as_dict()})
        try:
            response = await self._transport.handle_async_request(request)
            try:
                if response.status_code in _REDIRECTS and "location" in response.headers:
                    return _redirect_target(url, response.headers["location"], first)
                _check_head(response, content_types, first)
                coding = response.headers.get("content-encoding", "")
                body = await read_body(
                    response.aiter_raw(), coding, limits.max_bytes, first, is_cut_at_limit=is_cut_at_limit
                )
            finally:
                await response.aclose()
        except NETWORK_ERRORS as exc:
            raise translate(exc, first) from exc
        charset = _CHARSET.search(response.headers.get("content-type", ""))
        return Response(
            url=url,
            status=response.status_code,
            headers=dict(response.headers),
            body=body,
            charset=charset[1] if charset else None,
        )


def _redirect_target(url: str, location: str, first: str) -> str:
    try:
        target = join(url, location)
    except InvalidUrlError as exc:
        raise InvalidUrlError(first, "redirects to something that is not a URL we fetch") from exc
    if url.startswith("https:") and target.startswith("http:"):
        raise InsecureRedirectError(first, "redirects from https to http")
    return target


def _check_head(response: httpx.Response, content_types: frozenset[str] | None, url: str) -> None:
    """Refuses before the body is read what would be refused after."""
    if not 200 <= response.status_code <= 299:
        raise HttpStatusError(url, response.status_code, _retry_after_s(response.headers.get("retry-after")))
    if content_types is None:
        return
    media_type = _media_type(response.headers)
    if media_type not in content_types:
        what = f"{media_type[:80]!r}" if media_type else "a page without a content type"
        raise UnsupportedContentError(url, f"{what} cannot be read, only HTML and plain text")


def _media_type(headers: Mapping[str, str]) -> str:
    # A header that was sent twice comes joined by a comma.
    return re.split("[;,]", headers.get("content-type", ""), maxsplit=1)[0].strip().lower()


def _retry_after_s(header: str | None) -> float | None:
    """RFC 9110, 10.2.3: a number of seconds or a date; None if it is neither."""
    if header is None:
        return None
    if re.fullmatch(r"\s*[0-9]{1,12}\s*", header):
        wait_s = float(header)
    else:
        try:
            wait_s = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(max(wait_s, 0.0), _MAX_RETRY_AFTER_S)
