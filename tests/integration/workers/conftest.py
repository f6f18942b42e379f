"""Stages for tests that kill, stop and cut off the workers: each test has a database and workers of its own."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.rabbit import rabbit_vhost
from tests.servers import ValkeyServer
from tests.stage import Stage
from tests.workers import Kind, Worker

__all__ = ["begin", "name", "rabbit_vhost", "roomy_valkey", "stage_of"]

DATABASES = 1000
_databases = iter(range(DATABASES))
StageOf = Callable[..., Stage]
Begin = Callable[..., Worker]


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return uuid.uuid4().hex[:12]


@pytest.fixture(scope="session")
def roomy_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """A Valkey with a database for each test."""
    server = ValkeyServer(tmp_path_factory.mktemp("roomy"), fsync=None, options=("--databases", str(DATABASES)))
    with server:
        yield server


@pytest.fixture
def stage_of(request: pytest.FixtureRequest, roomy_valkey: ValkeyServer) -> Iterator[StageOf]:
    """Makes a stage of a kind of worker on a broker, with records and queues that no other test has."""
    with ExitStack() as stack:
        environment = stack.enter_context(pytest.MonkeyPatch.context())

        def make(kind: str, broker: str = "redis", redis_url: str | None = None) -> Stage:
            url = redis_url or f"{roomy_valkey.url.removesuffix('/0')}/{next(_databases)}"
            environment.setenv("REDIS_URL", url)
            broker_url = {"redis": url}.get(broker, broker)
            if broker == "rabbitmq":
                broker_url = request.getfixturevalue("rabbit_vhost")()
            made = Stage(kind.partition(" ")[0], url, broker_url)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts workers of a stage, and kills them at the end."""
    with ExitStack() as stack:

        def start(stage: Stage, kind: Kind, *, concurrency: int = 2, **more: Any) -> Worker:
            worker = stage.worker(kind, tmp_path, concurrency=concurrency, **more)
            return stack.enter_context(worker)

        yield start
