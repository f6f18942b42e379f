"""A real web server on loopback that answers what a test tells it to."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from app.fetch.address import AddressPolicy
from app.fetch.client import Client, FetchLimits, Response
from app.fetch.crawl import CrawlLimits, Skipped, crawl
from app.fetch.errors import FetchError
from app.fetch.page import Page
from tests.ports import free_port

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Site:
    """What the server answers, and what it was asked."""

    port: int
    routes: dict[str, Answer] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    is_stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pages(self) -> list[str]:
        """The paths that were asked for, robots.txt aside."""
        return [path for path in self.requests if path != "/robots.txt"]

    def answer(
        self, path: str, body: bytes | str = b"", status: int = 200, content_type: str = "text/html", **headers: str
    ) -> None:
        """Answers `path` with a whole response; header names with `_` for `-`."""
        content = body.encode() if isinstance(body, str) else body

        def send(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            if content_type:
                handler.send_header("Content-Type", content_type)
            handler.send_header("Content-Length", str(len(content)))
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(content)

        self.routes[path] = send

    def redirect(self, path: str, location: str, status: int = 302) -> None:
        self.answer(path, b"moved", status, Location=location)


class Server(ThreadingHTTPServer):
    """Serves one `Site`, each connection in its own thread."""

    daemon_threads = True

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.site = Site(self.server_port)
        if ssl_context is not None:
            # The handshake belongs to the connection's thread: one that fails must not stop the accepting one.
            self.socket = ssl_context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: tests cut connections on purpose."""


class Handler(BaseHTTPRequestHandler):
    """Writes down each request and lets the site's route answer it; 404 where there is none."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        site = self.server.site
        site.requests.append(self.path)
        site.headers.append(dict(self.headers.items()))
        site.times_s.append(time.monotonic())
        answer = site.routes.get(self.path.partition("?")[0])
        if answer is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        try:
            answer(self)
        except ConnectionError:
            self.close_connection = True  # the client had enough, as some tests want

    def log_message(self, *args: object) -> None:
        """Says nothing: what was asked is in `Site.requests`."""


@pytest.fixture
def new_site() -> Iterator[Callable[..., Site]]:
    """Starts servers, with TLS if given a context, and stops them after the test."""
    running: list[tuple[Server, threading.Thread]] = []

    def start(ssl_context: ssl.SSLContext | None = None) -> Site:
        server = Server(ssl_context)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((server, thread))
        return server.site

    yield start
    for server, thread in running:
        server.site.is_stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def site(new_site: Callable[..., Site]) -> Site:
    return new_site()


@pytest.fixture
def other_site(new_site: Callable[..., Site]) -> Site:
    return new_site()


@pytest.fixture
def policy(site: Site) -> AddressPolicy:
    return AddressPolicy.parse(allow=f"127.0.0.1:{site.port}")


@pytest.fixture
def new_client(policy: AddressPolicy) -> Callable[..., Client]:
    """Makes a client that may reach the test's site, with limits that a busy machine does not reach."""

    def build(limits: FetchLimits | None = None, **options: object) -> Client:
        return Client(policy, limits or FetchLimits(total_s=60, connect_s=30, read_s=30), **options)

    return build


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port on which somebody listens and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    """A port on which nobody listens."""
    return free_port()


@pytest.fixture
def fetch() -> Callable[..., Response]:
    """Fetches one URL with a client, which it closes."""

    def run(client: Client, url: str, **options: object) -> Response:
        async def once() -> Response:
            async with client:
                return await client.fetch(url, **options)

        return asyncio.run(once())

    return run


@pytest.fixture
def failure(fetch: Callable[..., Response]) -> Callable[..., FetchError]:
    """The error that fetching one URL ends in."""

    def run(client: Client, url: str, **options: object) -> FetchError:
        with pytest.raises(FetchError) as caught:
            fetch(client, url, **options)
        return caught.value

    return run


@pytest.fixture
def page() -> Callable[..., str]:
    """Makes a page that links to some others."""

    def build(*links: str, text: str = "Some text.", head: str = "") -> str:
        anchors = "".join(f'<a href="{link}">link</a> ' for link in links)
        return f"<html><head><title>T</title>{head}</head><body><p>{text}</p>{anchors}</body></html>"

    return build


@pytest.fixture
def read_all(new_client: Callable[..., Client]) -> Callable[..., list[Page | Skipped]]:
    """Crawls to the end without waiting between pages."""

    def run(url: str, client: Client | None = None, **limits: object) -> list[Page | Skipped]:
        async def collect() -> list[Page | Skipped]:
            async with client or new_client() as opened:
                return [item async for item in crawl(url, opened, CrawlLimits(**{"delay_s": 0.0} | limits))]

        return asyncio.run(collect())

    return run
