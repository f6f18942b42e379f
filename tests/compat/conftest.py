"""Both sides, on both brokers: every test of this folder that takes `side` runs under each."""

import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.sides import Side, reached
from tests.rabbit import rabbit_vhost
from tests.servers import ValkeyServer
from tests.workers import Worker

__all__ = ["rabbit_vhost"]

DATABASES = 200
SHARED = ("worker", "flower", "project")
"""Workers that the tests of a module share."""
_databases = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have one process run all the tests that share a worker: else each process starts one of its own for its part."""
    for item in items:
        if Path(__file__).parent in item.path.parents and not set(SHARED).isdisjoint(item.fixturenames):
            side = item.callspec.params.get("side", "") if hasattr(item, "callspec") else ""
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem} {side}"))


@pytest.fixture(scope="session")
def roomy_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """A Valkey with a database for each side."""
    server = ValkeyServer(tmp_path_factory.mktemp("roomy"), fsync=None, options=("--databases", str(DATABASES)))
    with server:
        yield server


@pytest.fixture(
    scope="module",
    params=[
        "celery redis",
        "shim redis",
        pytest.param("celery rabbitmq", marks=pytest.mark.rabbitmq),
        pytest.param("shim rabbitmq", marks=pytest.mark.rabbitmq),
    ],
)
def side(request: pytest.FixtureRequest, roomy_valkey: ValkeyServer) -> Iterator[Side]:
    """One side on one broker; the tests of a module share it. The module may name another `PROGRAM`."""
    name, broker = request.param.split()
    url = f"{roomy_valkey.url.removesuffix('/0')}/{next(_databases)}"
    broker_url = request.getfixturevalue("rabbit_vhost")() if broker == "rabbitmq" else url
    made = Side(name, url, broker_url, program=getattr(request.module, "PROGRAM", "compat_program"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def worker(side: Side, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker of the side, with two processes; the tests of a module share it."""
    with side.worker(tmp_path_factory.mktemp("worker")) as started:
        yield started


@pytest.fixture(scope="module")
def reachable(side: Side, worker: Worker) -> Worker:
    """The same worker, once remote control reaches it."""
    reached(side)
    return worker


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return uuid.uuid4().hex[:12]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where logs go."""
    return tmp_path
