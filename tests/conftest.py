"""Servers and names that the tests share: one server a pytest process, one namespace a test."""

import uuid
from collections.abc import Iterator

import pytest

from tests.cluster import ValkeyCluster
from tests.servers import MongoServer, ValkeyServer


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real Valkey, one for each xdist worker. Tests in one worker share it: use `key_prefix`."""
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server.url


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    """A cluster of three masters, one for each xdist worker that needs one: use `key_prefix`."""
    with ValkeyCluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(scope="session")
def mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the embedded MongoDB subset, one for each xdist worker: use `database_name`."""
    with MongoServer(tmp_path_factory.mktemp("mongo")) as server:
        yield server.url


@pytest.fixture
def key_prefix() -> str:
    """A prefix for Redis keys that no other test uses; ends with a colon."""
    return f"test-{uuid.uuid4().hex[:12]}:"


@pytest.fixture
def database_name() -> str:
    """A MongoDB database name that no other test uses."""
    return f"test_{uuid.uuid4().hex[:12]}"
