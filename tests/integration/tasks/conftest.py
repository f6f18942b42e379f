"""The service's tasks over a database, an uploads folder and servers of each test's own."""

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.extract.reader import stop_children
from app.settings import Settings
from app.tasks.registry import build_tasks
from app.tasks.services import Services
from queues.message import Message
from queues.run import Run, set_current
from tests.ports import free_port
from tests.unit.extract.documents import real_documents


@dataclass
class World:
    """The services and tasks of one test."""

    services: Services

    def __post_init__(self) -> None:
        self.tasks = build_tasks(self.services)
        self.stores = self.services.stores

    def play(self, scenario: Callable[["World"], Coroutine[Any, Any, Any]]) -> Any:
        """What the scenario returns, run on a loop of its own."""

        async def main() -> Any:
            await self.stores.prepare()
            try:
                return await scenario(self)
            finally:
                await self.services.close()

        return asyncio.run(main())

    async def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """A plain call of a task."""
        return await self.tasks.get(f"app.tasks.{name}")(*args, **kwargs)

    async def attempt(self, run: Run, name: str, *args: Any, **kwargs: Any) -> Any:
        """A call of a task as this run, as a worker makes it."""

        async def within() -> Any:
            set_current(run)
            return await self.call(name, *args, **kwargs)

        return await asyncio.create_task(within())

    def place(self, source: Path | bytes | str, path: str) -> str:
        """Put a file into the uploads folder; its path there."""
        target = self.services.settings.uploads_dir / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, Path):
            shutil.copyfile(source, target)
        else:
            target.write_bytes(source.encode() if isinstance(source, str) else source)
        return path

    async def stored_chunks(self) -> list[dict[str, Any]]:
        """Every stored chunk, seen by readers or not."""
        return await self.stores.mongo.collection("chunks").find({}, limit=10_000)


async def until(is_true: Callable[[], Coroutine[Any, Any, bool]], deadline_s: float = 60.0) -> None:
    """Return when the condition holds; fail when it does not in time."""
    ends_at_s = time.monotonic() + deadline_s
    while not await is_true():
        assert time.monotonic() < ends_at_s, "not in time"
        await asyncio.sleep(0.005)


def make_run(token: int, attempt: int = 1, digest: str = "ab" * 20) -> Run:
    """One attempt at the work that `digest` names."""
    message = Message(id=f"{digest}-{'c' * 12}", task="app.tasks.any", queue="any", digest=digest)
    return Run(message, token=token, lease_ms=30_000, attempt=attempt, created_ms=1)


@pytest.fixture
def make_world(mongo_url, database_name, tmp_path) -> Iterator[Callable[..., World]]:
    """Makes the world of a test, with settings of its own."""

    def make(**settings: Any) -> World:
        own = {"data_dir": tmp_path / "data", "mongo_url": mongo_url, "db_name": database_name}
        pool = {"mongo_min_pool_size": 0, "mongo_max_pool_size": 8}
        return World(Services(Settings(**{**own, **pool, **settings})))

    yield make
    asyncio.run(_drop(make()))
    stop_children()


async def _drop(world: World) -> None:
    await world.stores.mongo.drop()
    await world.services.close()


@pytest.fixture
def world(make_world) -> World:
    """A world without channels for notifications."""
    return make_world()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real documents."""
    return real_documents()


@dataclass
class Web:
    """A web server: what it answers, and what it was asked."""

    port: int
    routes: dict[str, tuple[int, str, dict[str, str]]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    before_answer: Callable[[], None] = lambda: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def allowed(self) -> str:
        """For the setting `fetch_allow`."""
        return f"127.0.0.1:{self.port}"

    def answer(self, path: str, body: str = "", status: int = 200, **headers: str) -> None:
        self.routes[path] = (status, body, {name.replace("_", "-"): value for name, value in headers.items()})

    def page(self, path: str, text: str, title: str = "A page", links: tuple[str, ...] = ()) -> None:
        anchors = "".join(f'<a href="{link}">more</a>' for link in links)
        self.answer(
            path,
            f"<html lang=en><head><title>{title}</title></head><body><main><h1>{title}</h1>"
            f"<p>{text}</p>{anchors}</main></body></html>",
        )


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.server.web.asked.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
        self.server.web.before_answer()
        status, body, headers = self.server.web.routes.get(self.path, (404, "", {}))
        content = body.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 - http.server's own name

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def web() -> Iterator[Web]:
    """A web server on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.web = Web(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.web
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def closed_port() -> int:
    """A port on loopback where nobody listens."""
    return free_port()
