"""Every store, so that one file of tests runs against each."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis

from queues.idempotency.store import AsyncStore
from queues.stores.memory import AsyncMemoryStore, MemoryStore
from queues.stores.redis import RedisStore
from queues.stores.redis_async import async_redis_store
from tests.contract.operations import TTL_MS, ManualClock
from tests.servers import ValkeyServer

Store = MemoryStore | RedisStore


ROOT = Path(__file__).parents[2]
PASSWORD = "records-password"
SERVERS = ("valkey", "cluster")


def url_of(request: pytest.FixtureRequest, server: str) -> str:
    """Where the records of a kind of real server are."""
    return request.getfixturevalue("cluster").url if server == "cluster" else request.getfixturevalue("valkey_url")


class Blocking:
    """An asynchronous store, each call driven on one loop of its own."""

    def __init__(self, store: AsyncStore) -> None:
        self._store = store
        self._runner = asyncio.Runner()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)
        return lambda *arguments: self._runner.run(method(*arguments))

    def end(self) -> None:
        self._runner.run(self._store.close())
        self._runner.close()


@pytest.fixture(scope="session")
def user_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the users of deploy/redis, as its user of the records."""
    folder = tmp_path_factory.mktemp("users")
    # As its README says, with the prefix of the tests.
    text = (
        (ROOT / "deploy/redis/users.acl").read_text().replace("change-me", PASSWORD).replace("~task_", "~test-*:task_")
    )
    (folder / "users.acl").write_text(text)
    with ValkeyServer(folder / "data", fsync=None, options=("--aclfile", str(folder / "users.acl"))) as server:
        yield server.url.replace("://", f"://onceq:{PASSWORD}@")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def digest() -> str:
    return secrets.token_hex(20)


@pytest.fixture(params=["memory", "valkey", "cluster", "fakeredis"])
def store(request: pytest.FixtureRequest, clock: ManualClock, key_prefix: str) -> Iterator[Store]:
    """Each synchronous store, on the test's clock."""
    if request.param == "memory":
        yield MemoryStore(clock)
        return
    if request.param in SERVERS:
        # The plain server as the user that deploy/redis makes: what it lacks, a test shows.
        is_plain = request.param == "valkey"
        url = request.getfixturevalue("user_url") if is_plain else url_of(request, request.param)
        made = RedisStore(url, prefix=key_prefix, now_ms=clock.now_ms)
    else:
        made = RedisStore(client=fakeredis.FakeRedis(), prefix=key_prefix, now_ms=clock.now_ms)
    yield made
    made.close()


@pytest.fixture(params=["memory", *SERVERS, "fakeredis", "async memory", *(f"async {name}" for name in SERVERS)])
def any_store(request: pytest.FixtureRequest, key_prefix: str) -> Iterator[Any]:
    """Each store, synchronous or not, on its own clock."""
    if request.param in ("memory", "fakeredis"):
        memory = MemoryStore()
        fake = RedisStore(client=fakeredis.FakeRedis(), prefix=key_prefix)
        yield memory if request.param == "memory" else fake
        fake.close()
        return
    if request.param in SERVERS:
        made = RedisStore(url_of(request, request.param), prefix=key_prefix)
        yield made
        made.close()
        return
    name = request.param.removeprefix("async ")
    if name == "memory":
        blocking = Blocking(AsyncMemoryStore(MemoryStore()))
    else:
        blocking = Blocking(async_redis_store(url_of(request, name), prefix=key_prefix))
    yield blocking
    blocking.end()


@pytest.fixture
def forget(store: Store, clock: ManualClock) -> Callable[[str], None]:
    """Lets a record expire: by the clock, or, where the server's clock does that, by its keys' removal."""

    def now(digest: str) -> None:
        clock.advance(10 * TTL_MS)
        if isinstance(store, RedisStore):
            # The index of leases has no expiry of its own: its entry stays, as it would.
            store._client.delete(*store.keys.of(digest)[:2])

    return now


@pytest.fixture
def valkey(valkey_url: str) -> Iterator[redis.Redis]:
    """A plain client of the real server."""
    with redis.Redis.from_url(valkey_url) as client:
        yield client


@pytest.fixture
def redis_store(valkey_url: str, key_prefix: str) -> Iterator[RedisStore]:
    """The store of the real server, on the server's clock."""
    made = RedisStore(valkey_url, prefix=key_prefix)
    yield made
    made.close()
