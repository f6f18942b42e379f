"""The way to the network: a name is resolved once, its addresses judged, and a judged one is connected to.

A check before the request would not do: between the check and the connect the name can come to mean another
address (DNS rebinding). So the check sits where the socket is opened, and the socket is opened to the
address, not the name. TLS still verifies the certificate against the name: httpcore passes the URL's host as
the server name.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import httpcore
import httpx

from app.fetch.address import AddressPolicy, refusal
from app.fetch.errors import (
    AddressRefusedError,
    CertificateRefusedError,
    FetchError,
    FetchTimeoutError,
    UnreachableError,
)

logger = logging.getLogger(__name__)

Resolver = Callable[[str, int], Awaitable[tuple[str, ...]]]
"""Takes a host and a port, gives its addresses in the order to try; raises OSError when there are none."""

# A name with hundreds of dead addresses would otherwise use up the whole time limit of a fetch.
_MAX_ADDRESSES_TRIED = 4


class RefusedError(Exception):
    """The host's address may not be reached; carries no text: the address is not the caller's to know."""


NETWORK_ERRORS: tuple[type[Exception], ...] = (
    RefusedError,
    OSError,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)
"""What a request may raise that `translate` knows; anything else is a mistake of ours."""


async def resolve(host: str, port: int) -> tuple[str, ...]:
    """The addresses of a host as the system resolver gives them, without repetition.

    Raises:
        OSError: the name is unknown or the resolver cannot be reached (`socket.gaierror`).
    """
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(info[4][0]) for info in infos))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens sockets for httpcore, only to addresses that the policy permits.

    One refused address refuses the host: a public site has no reason to name a private address beside its
    own.

    Args:
        policy: what may be reached.
        resolver: how a name becomes addresses.
        network: opens the socket once the address is judged.
    """

    def __init__(
        self, policy: AddressPolicy, resolver: Resolver, network: httpcore.AsyncNetworkBackend | None = None
    ) -> None:
        self._policy = policy
        self._resolver = resolver
        self._network = network or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A stream to a permitted address of the host.

        Raises:
            RefusedError: an address of the host, or the port, may not be reached.
            OSError: the name cannot be resolved.
            httpcore.ConnectError, httpcore.ConnectTimeout: no address answered.
        """
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolver(host, port)
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout from exc
        for address in addresses:
            if not self._policy.permits(host, port, address):
                logger.info("refused %s port %d: %s", host, port, refusal(address) or "port not permitted")
                raise RefusedError
        failure: httpcore.ConnectError | httpcore.ConnectTimeout = httpcore.ConnectError("no address")
        for address in addresses[:_MAX_ADDRESSES_TRIED]:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refused: no page of the web is behind a Unix socket.

        Raises:
            RefusedError: always.
        """
        raise RefusedError

    async def sleep(self, seconds: float) -> None:
        """Returns after `seconds`."""
        await self._network.sleep(seconds)


class _Body(httpx.AsyncByteStream):
    """An httpcore response's raw body for httpx."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.aiter_stream():
            yield chunk

    async def aclose(self) -> None:
        await self._response.aclose()


class GuardedTransport(httpx.AsyncBaseTransport):
    """httpx's transport over a `GuardedBackend`; HTTP/1.1, no proxy whatever the environment says.

    Lets httpcore's errors, `OSError` and `RefusedError` through; `translate` turns them into ours.

    Args:
        backend: opens the sockets.
        ssl_context: how servers must prove who they are.
    """

    def __init__(self, backend: GuardedBackend, ssl_context: ssl.SSLContext) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context,
            network_backend=backend,
            max_connections=20,
            max_keepalive_connections=5,
            keepalive_expiry=5.0,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The response to one request, its body not yet read."""
        response = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=b"",
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response), extensions=response.extensions
        )

    async def aclose(self) -> None:
        """Closes every connection."""
        await self._pool.aclose()


def translate(exc: Exception, url: str) -> FetchError:
    """Our error for one that came out of `GuardedTransport`; its text names nothing but `url`."""
    match exc:
        case RefusedError():
            return AddressRefusedError(url)
        case httpcore.TimeoutException() | TimeoutError():
            return FetchTimeoutError(url, "the server took too long")
        # httpcore's pool raises it again `from None`, so the cause is gone and the argument is what remains.
        case httpcore.ConnectError(args=[ssl.SSLCertVerificationError(), *_]):
            return CertificateRefusedError(url)
        case httpcore.ConnectError():
            return UnreachableError(url, "no connection to the server")
        case socket.gaierror():
            is_unknown = exc.errno == socket.EAI_NONAME
            return UnreachableError(
                url,
                "the host's name is not known" if is_unknown else "the host's name could not be looked up",
                is_retryable=not is_unknown,
            )
        case httpcore.UnsupportedProtocol() | httpcore.LocalProtocolError():
            return UnreachableError(url, "the request could not be sent", is_retryable=False)
        case _:
            return UnreachableError(url, "the connection broke before the end of the page")
