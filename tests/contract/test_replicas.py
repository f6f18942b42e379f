"""`replicas=N`: what is answered is on N replicas, or the caller is told that it is not."""

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from queues.clock import SystemClock
from queues.errors import InvalidOptionError, NotReplicatedError
from queues.idempotency.guard import Guard
from queues.idempotency.state import Admit, Complete, Fail, Kind, State
from queues.message import Message
from queues.once import Once
from queues.stores import replication
from queues.stores.redis import RedisStore
from queues.stores.redis_async import AsyncRedisStore
from tests.cluster import ValkeyCluster
from tests.contract.operations import HELP_MS, TTL_MS, admit, begin
from tests.servers import ValkeyServer
from tests.stage import eventually

T = TypeVar("T")


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Iterator[tuple[ValkeyServer, ValkeyServer]]:
    """A master and its replica."""
    folder = tmp_path_factory.mktemp("pair")
    with ValkeyServer(folder / "master", fsync=None, options=("--repl-diskless-sync-delay", "0")) as master:
        options = ("--replicaof", "127.0.0.1", str(master.port))
        with ValkeyServer(folder / "replica", fsync=None, options=options) as replica:
            store = RedisStore(master.url)
            eventually(lambda: store._client.set("any", "") and store._client.execute_command("WAIT", 1, 100))
            yield master, replica
            store.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(replication, "REPLICATED_WITHIN_MS", 200)


def in_the_end(call: Callable[[], T], deadline_s: float = 60.0) -> T:
    """The answer, asked for again as a caller would while the replica comes back."""
    begun = time.monotonic()
    while True:
        try:
            return call()
        except NotReplicatedError:
            if time.monotonic() - begun > deadline_s:
                raise


def kept(replicas: int = 1, owner: str = "m1") -> Admit:
    return Admit("", owner, b"message", HELP_MS, TTL_MS, replicas=replicas)


def test_what_is_answered_is_on_the_replica(pair, digest):
    master, replica = pair
    store, other = RedisStore(master.url), RedisStore(replica.url)

    kind = in_the_end(lambda: store.apply(digest, kept())).kind
    is_there = other._client.exists(other.keys.of(digest)[0])
    token = store.apply(digest, begin()).token
    in_the_end(lambda: store.apply(digest, Complete(token, b"{}", TTL_MS, replicas=1)))

    assert (kind, is_there) == (Kind.ADMITTED, 1)
    assert other._client.exists(other.keys.of(digest)[1]) == 1


def test_too_few_replicas_are_told_and_the_same_call_is_safe_to_repeat(pair, digest):
    master, replica = pair
    store = RedisStore(master.url)

    with replica.paused():
        with pytest.raises(NotReplicatedError, match="0 of 1") as caught:
            store.apply(digest, kept())
        # A duplicate writes nothing, and over a new connection: it must not be told that all is well.
        with pytest.raises(NotReplicatedError):
            RedisStore(master.url).apply(digest, kept(owner="m2"))
    again = in_the_end(lambda: store.apply(digest, kept()))

    assert (caught.value.replicas, caught.value.wanted) == (0, 1)
    assert again.kind is Kind.ADMITTED


@pytest.mark.parametrize("make", [Complete, Fail], ids=["complete", "fail"])
def test_an_outcome_is_kept_by_its_worker_until_the_replica_has_it(pair, digest, make):
    master, replica = pair
    store = RedisStore(master.url)
    token = store.apply(digest, begin()).token
    rest = (False,) if make is Fail else ()
    end = make(token, b"{}", *rest, TTL_MS, replicas=1)

    with replica.paused(), pytest.raises(NotReplicatedError):
        store.apply(digest, end)

    assert in_the_end(lambda: store.apply(digest, end)).kind is Kind.OK
    assert store.read(digest).state.is_live is False


def test_in_a_pipeline_every_answer_waits_for_the_replicas(pair):
    master, replica = pair
    store = RedisStore(master.url)
    digests = [secrets.token_hex(20) for _ in range(3)]
    requests = [(digests[0], kept()), (digests[1], admit()), (digests[2], kept())]

    with replica.paused():
        answers = store.apply_each(requests)

    assert [type(answer) for answer in answers] == [NotReplicatedError] * 3
    assert [a.kind for a in in_the_end(lambda: store.apply_many(requests))] == [Kind.ADMITTED] * 3


def test_an_event_loop_waits_for_the_replicas_too(pair, digest):
    master, replica = pair

    async def story() -> Kind:
        store = AsyncRedisStore(master.url)
        with replica.paused(), pytest.raises(NotReplicatedError):
            await store.apply(digest, kept())
        try:
            return (await store.apply(digest, kept())).kind
        finally:
            await store.close()

    assert in_the_end(lambda: asyncio.run(story())) is Kind.ADMITTED


def test_scripts_that_the_server_forgot_are_loaded_before_the_replicas_are_asked(pair, digest):
    store = RedisStore(pair[0].url)
    store.apply(digest, admit())
    store._client.script_flush()

    assert in_the_end(lambda: store.apply(digest, kept())).kind is Kind.ADMITTED


def test_more_replicas_than_there_are_is_told_and_nothing_is_lost(cluster: ValkeyCluster, key_prefix, digest):
    store = RedisStore(cluster.url, prefix=key_prefix)

    with pytest.raises(NotReplicatedError):
        store.apply(digest, kept())

    assert store.read(digest).state is State.QUEUED


def test_a_task_that_asks_for_no_replica_waits_for_none(pair, digest):
    master, replica = pair
    with replica.paused():
        assert RedisStore(master.url).apply(digest, admit()).kind is Kind.ADMITTED


@pytest.mark.parametrize("replicas", [-1, 0.5, 101])
def test_a_number_of_replicas_that_cannot_be_is_refused(replicas):
    with pytest.raises(InvalidOptionError, match="replicas"):
        Once(replicas=replicas)


def test_a_worker_holds_its_outcome_until_the_replica_has_it_and_its_lease_is_not_called_lost(pair, digest, caplog):
    master, replica = pair
    policy, store = Once(lease=2, replicas=1), RedisStore(master.url)
    guard = Guard(store, SystemClock(), threading.Event())
    _, run = guard.begin(Message("m1", "task", "queue", digest), policy)
    written: list[bool] = []
    ending = threading.Thread(target=lambda: written.append(guard.complete(run, policy, b"{}")), daemon=True)
    caplog.set_level(logging.WARNING)

    with replica.paused():
        ending.start()
        begun_s = time.monotonic()
        # Longer than a lease: the heartbeat asks meanwhile for what has ended.
        eventually(lambda: caplog.text.count("asking again") >= 4 and time.monotonic() - begun_s > 1.5 * policy.lease)
        is_held = ending.is_alive()
    ending.join(60)

    assert (is_held, written, run.is_lost) == (True, [True], False)
    assert "lost" not in caplog.text
