"""The API as the tests use it: in this process, on a real Valkey, our MongoDB and the memory backend."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI

from app.api.context import Context
from app.main import create_app
from app.settings import Settings
from app.tasks.registry import build_tasks
from app.tasks.services import Services
from queues import Queue, connect

T = TypeVar("T")
KEY = "test-key-0123456789-0123456789-0123456789"
DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a test's data is: folders, servers, and names that no other test uses."""

    folder: Path
    valkey_url: str
    mongo_url: str
    database: str
    prefix: str

    def settings(self, **changes: Any) -> Settings:
        """The settings of a service here."""
        chosen = {
            "data_dir": self.folder / "data",
            "api_key": KEY,
            "redis_url": self.valkey_url,
            "mongo_url": self.mongo_url,
            "db_name": self.database,
            "queues_prefix": self.prefix,
            "mongo_min_pool_size": 0,
            "rate_limit_per_minute": 10_000,
        }
        return Settings(**{**chosen, **changes})


@dataclass(frozen=True, slots=True)
class Service:
    """A running API and its client, whose key has every scope of the tenant `default`."""

    app: FastAPI
    client: httpx.AsyncClient
    queue: Queue
    announced: list[str]

    @property
    def context(self) -> Context:
        """What its routes work with."""
        context: Context = self.app.state.context
        return context

    async def work(self) -> None:
        """Run every task that is due."""
        await asyncio.to_thread(self.queue.backend.run_pending)

    async def key_of(self, tenant: str, scopes: tuple[str, ...] = ("read", "write"), chatbot_id: str | None = None):
        """Headers of a caller with a key of its own."""
        key = f"key-of-{tenant}-{'-'.join(scopes)}-{chatbot_id}"
        await self.context.stores.api_keys.add(key, name=key, scopes=scopes, tenant=tenant, chatbot_id=chatbot_id)
        return {"Authorization": f"Bearer {key}"}

    async def upload(self, data: bytes, name: str = "notes.txt", chatbot_id: str = "bot_1", **options: Any):
        """The answer to a document's upload."""
        return await self.client.post(
            "/api/v1/documents", files={"file": (name, data)}, data={"chatbot_id": chatbot_id}, **options
        )


@asynccontextmanager
async def serving(place: Place, **changes: Any) -> AsyncIterator[Service]:
    """A service, from its start to its stop."""
    settings = place.settings(**changes)
    # The tasks run on a loop of their own, so they have their own connections.
    worker = Services(settings)
    queue = connect(build_tasks(worker), backend="memory")
    announced: list[str] = []
    app = create_app(settings, queue=queue, announce=announced.append)
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client,
    ):
        try:
            yield Service(app, client, queue, announced)
        finally:
            await worker.close()


def run(place: Place, scenario: Callable[[Service], Awaitable[T]], **changes: Any) -> T:
    """What the scenario returns, played against a service of its own."""

    async def main() -> T:
        async with serving(place, **changes) as service:
            return await scenario(service)

    return asyncio.run(main())


async def eventually(ask: Callable[[], Awaitable[T]], is_wanted: Callable[[T], bool]) -> T:
    """The first wanted answer; fails when ten seconds pass without one."""
    async with asyncio.timeout(DEADLINE_S):
        for pause_s in iter(lambda: 0.02, None):
            answer = await ask()
            if is_wanted(answer):
                return answer
            await asyncio.sleep(pause_s)
    raise AssertionError
