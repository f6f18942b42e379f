"""A server that is gone, hangs, refuses or is full: StoreUnavailableError, soon, and without the password."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import redis
import redis.asyncio

from queues.errors import InvalidOptionError, QueueError, StoreUnavailableError
from queues.idempotency.state import Admit, Kind, Look, Operation
from queues.stores.connection import check_url
from queues.stores.redis import RedisStore
from queues.stores.redis_async import AsyncRedisStore
from tests.contract.operations import HELP_MS, TTL_MS, admit, begin, complete, fail, heartbeat, release, wait
from tests.servers import ValkeyServer

PASSWORD = "s3cr3t-passw0rd"
SOON_S = 45.0
ENDED = Look("", is_ended=True)


@contextmanager
def taking_at_most(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def asynchronously(url: str, digest: str, operation: Operation) -> object:
    async def ask() -> object:
        store = AsyncRedisStore(url)
        try:
            return await store.apply(digest, operation)
        finally:
            await store.close()

    return asyncio.run(ask())


CALLS: dict[str, Callable[[RedisStore, str], object]] = {
    "apply": lambda store, digest: store.apply(digest, begin()),
    "apply_many": lambda store, digest: store.apply_many([(digest, admit()), (digest, begin())]),
    "read": lambda store, digest: store.read(digest),
    "read_many": lambda store, digest: store.read_many([digest]),
    "due": lambda store, digest: store.due(0, 1),
    "take_turn": lambda store, digest: store.take_turn("t", 1000),
    "ticks": lambda store, digest: store.ticks(),
    "ticked": lambda store, digest: store.ticked("nightly", 1),
    "unfinished": lambda store, digest: store.unfinished(),
    "announce": lambda store, digest: store.announce("w"),
    "workers": lambda store, digest: store.workers(),
    "ping": lambda store, digest: store.ping(),
    "apply of the asynchronous store": lambda store, digest: asynchronously(store.url, digest, begin()),
    "a look for an outcome": lambda store, digest: store.apply(digest, ENDED),
    "that of the asynchronous store": lambda store, digest: asynchronously(store.url, digest, ENDED),
}
PATIENT = ("apply", "apply of the asynchronous store")
"""With all the attempts, which take seconds; they are the same for each call."""


@pytest.fixture
def server(tmp_path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path, fsync="always") as started:
        yield started


@pytest.fixture(scope="module")
def dead_url(tmp_path_factory) -> str:
    server = ValkeyServer(tmp_path_factory.mktemp("dead"), fsync=None)
    server.start()
    server.kill()
    return server.url


@pytest.mark.parametrize("name", CALLS)
def test_a_server_that_is_gone_is_told_soon(dead_url, digest, name, monkeypatch):
    if name not in PATIENT:
        monkeypatch.setattr("queues.stores.connection.RETRIES", 1)
    store = RedisStore(dead_url)

    with taking_at_most(SOON_S), pytest.raises(StoreUnavailableError):
        CALLS[name](store, digest)


@pytest.mark.parametrize("name", ["apply", "apply of the asynchronous store"])
def test_a_server_that_hangs_is_told_after_the_timeout_of_the_url(server, digest, name):
    store = RedisStore(f"{server.url}?socket_timeout=0.3")
    store.ping()

    with server.paused(), taking_at_most(SOON_S), pytest.raises(StoreUnavailableError):
        bounded(lambda: CALLS[name](store, digest), 60)


def test_a_late_reply_meets_nobody(server, digest):
    store = RedisStore(f"{server.url}?socket_timeout=0.3")
    other = secrets.token_hex(20)
    store.ping()

    with server.paused(), pytest.raises(StoreUnavailableError):
        store.apply(digest, admit("m1"))

    assert store.read(other) is None
    assert store.apply(other, admit("m2")).owner == "m2"
    assert store.apply(digest, begin("m1")).kind is Kind.RUN


@pytest.mark.parametrize("make", [redis.Redis, redis.asyncio.Redis])
def test_a_url_without_a_timeout_has_one_all_the_same(make):
    connection = make.from_url("redis://127.0.0.1:1/0").connection_pool.make_connection()

    # The driver's default, since redis-py 8; without it a server that hangs would stop every worker for good.
    assert 0 < connection.socket_timeout <= 10


def test_the_store_goes_on_after_its_server_was_killed_and_came_back(server, digest):
    store = RedisStore(server.url)
    token = store.apply(digest, begin()).token
    server.kill()
    with pytest.raises(StoreUnavailableError):
        store.apply(digest, heartbeat(token))

    server.start()

    # The restarted server knows no script, and the record is the one from before.
    assert store.apply_many([(digest, heartbeat(token)), (digest, complete(token))])[1].kind is Kind.OK
    assert store.apply(digest, admit("m2")).kind is Kind.REPLAY


def test_the_asynchronous_store_goes_on_after_its_server_came_back(server, digest):
    async def story() -> list[Kind]:
        store = AsyncRedisStore(server.url)
        kinds = [(await store.apply(digest, admit())).kind]
        server.kill()
        with pytest.raises(StoreUnavailableError):
            await store.apply(digest, admit())
        server.start()
        kinds += [answer.kind for answer in await store.apply_many([(digest, admit("m2")), (digest, begin())])]
        await store.close()
        return kinds

    assert asyncio.run(story()) == [Kind.ADMITTED, Kind.INFLIGHT, Kind.RUN]


def test_one_of_many_coroutines_gets_the_right_to_run(valkey_url, key_prefix, digest):
    async def ask_all() -> list[Kind]:
        store = AsyncRedisStore(valkey_url, prefix=key_prefix)
        answers = await asyncio.gather(*(store.apply(digest, begin(f"m{n}", f"x{n}")) for n in range(64)))
        await store.close()
        return [answer.kind for answer in answers]

    kinds = asyncio.run(ask_all())

    assert sorted(kinds) == sorted([Kind.RUN, *[Kind.BUSY] * 63])


def with_login(url: str, login: str) -> str:
    return url.replace("redis://", f"redis://{login}@")


@pytest.mark.parametrize("login", [":wrong-" + PASSWORD, "nobody:" + PASSWORD, ""], ids=["password", "user", "none"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_wrong_password_is_told_without_showing_it(tmp_path, digest, login, is_async):
    with ValkeyServer(tmp_path, fsync=None) as server:
        with redis.Redis.from_url(server.url) as client:
            client.config_set("requirepass", PASSWORD)
        url = with_login(server.url, login) if login else server.url
        with pytest.raises(StoreUnavailableError) as caught:
            asynchronously(url, digest, begin()) if is_async else RedisStore(url).apply(digest, begin())
        right = RedisStore(with_login(server.url, f":{PASSWORD}"))
        kind = right.apply(digest, begin()).kind
        with redis.Redis.from_url(right.url) as client:
            client.config_set("requirepass", "")

    assert PASSWORD not in str(caught.value)
    assert kind is Kind.RUN


def test_a_dead_server_is_told_without_showing_the_password(dead_url, digest, monkeypatch):
    monkeypatch.setattr("queues.stores.connection.RETRIES", 1)
    with pytest.raises(StoreUnavailableError) as caught:
        RedisStore(with_login(dead_url, f":{PASSWORD}")).apply(digest, begin())

    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"http://:{PASSWORD}@127.0.0.1/0",
        f"redis://:{PASSWORD}@127.0.0.1:port/0",
        f"redis://:{PASSWORD}/x@127.0.0.1:6379/0",
        f"user:{PASSWORD}@127.0.0.1",
        f"{PASSWORD}@127.0.0.1:6379",
        f"redis://:{PASSWORD}@127.0.0.1:6379/0?socket_timeout=soon",
        "",
    ],
    ids=["scheme", "port", "slash in the password", "no scheme", "no scheme, no user", "option", "empty"],
)
@pytest.mark.parametrize("make", [check_url, RedisStore, AsyncRedisStore])
def test_a_malformed_url_is_refused_without_showing_the_password(make, url):
    with pytest.raises(InvalidOptionError) as caught:
        make(url)

    assert PASSWORD[:6] not in str(caught.value)


def test_a_url_that_asks_for_decoded_replies_is_refused_or_works(valkey_url, key_prefix, digest):
    try:
        store = RedisStore(f"{valkey_url}?decode_responses=true", prefix=key_prefix)
    except InvalidOptionError:
        return

    assert store.apply(digest, begin()).kind is Kind.RUN


def test_a_full_server_refuses_new_work_as_unavailable(server):
    store = RedisStore(server.url)
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 300_000)

    def fill() -> None:
        for _ in range(200):
            store.apply(secrets.token_hex(20), Admit("", "m1", b"m" * 10_000, HELP_MS, TTL_MS))

    with pytest.raises(StoreUnavailableError, match="OutOfMemory"):
        fill()


@pytest.mark.parametrize("operation", [heartbeat, complete, wait, fail, release], ids=lambda make: make.__name__)
def test_a_run_goes_on_and_ends_on_a_server_that_became_full(server, digest, operation):
    store = RedisStore(server.url)
    token = store.apply(digest, begin()).token
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", 1)

    # Work that was accepted is not stopped or run again for want of memory: it is how memory becomes free.
    assert store.apply(digest, operation(token)).kind is Kind.OK


def test_a_read_only_replica_is_unavailable(tmp_path, server, digest):
    options = ("--replicaof", "127.0.0.1", str(server.port))
    with ValkeyServer(tmp_path / "replica", fsync=None, options=options) as replica:
        store = RedisStore(replica.url)
        with pytest.raises(StoreUnavailableError, match=r"[Rr]ead.?[Oo]nly"):
            store.apply(digest, begin())
        with pytest.raises(StoreUnavailableError):
            store.apply_many([(digest, admit())])


def test_a_key_of_another_kind_is_an_error_of_the_store(valkey_url, valkey, key_prefix, digest):
    store = RedisStore(valkey_url, prefix=key_prefix)
    valkey.set(store.keys.of(digest)[0], "not a hash")

    with pytest.raises(QueueError):
        store.apply(digest, begin())


def bounded(call: Callable[[], object], seconds: float) -> None:
    """Run `call` in a thread; one that does not end in time fails the test instead of stopping the suite."""
    pool = ThreadPoolExecutor(1)
    try:
        pool.submit(call).result(seconds)
    finally:
        pool.shutdown(wait=False)
