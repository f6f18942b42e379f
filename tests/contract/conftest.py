"""Every store, so that one file of tests runs against each."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import fakeredis
import pytest
import redis

from queues.stores.memory import AsyncMemoryStore, MemoryStore
from queues.stores.redis import RedisStore
from queues.stores.redis_async import AsyncRedisStore
from tests.contract.operations import TTL_MS, ManualClock

Store = MemoryStore | RedisStore


class Blocking:
    """An asynchronous store, each call driven on one loop of its own."""

    def __init__(self, store: AsyncRedisStore | AsyncMemoryStore) -> None:
        self._store = store
        self._runner = asyncio.Runner()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)
        return lambda *arguments: self._runner.run(method(*arguments))

    def end(self) -> None:
        self._runner.run(self._store.close())
        self._runner.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def digest() -> str:
    return secrets.token_hex(20)


@pytest.fixture(params=["memory", "valkey", "fakeredis"])
def store(request: pytest.FixtureRequest, clock: ManualClock, key_prefix: str) -> Iterator[Store]:
    """Each synchronous store, on the test's clock."""
    if request.param == "memory":
        yield MemoryStore(clock)
        return
    if request.param == "valkey":
        url = request.getfixturevalue("valkey_url")
        made = RedisStore(url, prefix=key_prefix, now_ms=clock.now_ms)
    else:
        made = RedisStore(client=fakeredis.FakeRedis(), prefix=key_prefix, now_ms=clock.now_ms)
    yield made
    made.close()


@pytest.fixture(params=["memory", "valkey", "fakeredis", "async memory", "async valkey"])
def any_store(request: pytest.FixtureRequest, key_prefix: str) -> Iterator[Any]:
    """Each store, synchronous or not, on its own clock."""
    if request.param in ("memory", "fakeredis"):
        memory = MemoryStore()
        fake = RedisStore(client=fakeredis.FakeRedis(), prefix=key_prefix)
        yield memory if request.param == "memory" else fake
        fake.close()
        return
    if request.param == "valkey":
        made = RedisStore(request.getfixturevalue("valkey_url"), prefix=key_prefix)
        yield made
        made.close()
        return
    is_memory = request.param == "async memory"
    url = "" if is_memory else request.getfixturevalue("valkey_url")
    blocking = Blocking(AsyncMemoryStore(MemoryStore()) if is_memory else AsyncRedisStore(url, prefix=key_prefix))
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
