"""What is true of the store in Redis alone: key names and slots, publication, scripts, the server's clock."""

import secrets
import time

import pytest
import redis
from redis.crc import key_slot

from queues.errors import InvalidOptionError
from queues.idempotency.publication import Publication
from queues.idempotency.state import Admit, Complete, Kind, State
from queues.stores.memory import MemoryStore
from queues.stores.redis import RedisStore
from queues.stores.redis_async import AsyncRedisStore
from queues.stores.scripts import Keys
from tests.contract.operations import (
    HELP_MS,
    LEASE_MS,
    TTL_MS,
    admit,
    begin,
    cancel,
    complete,
    confirm,
    fail,
    heartbeat,
    help_,
    release,
    wait,
)
from tests.servers import ValkeyServer

ENTRY = b"\x00entry\xff"


@pytest.mark.parametrize("prefix", ["", "app:"])
def test_the_keys_of_one_record_lie_in_one_hash_slot(prefix):
    keys = Keys(prefix)

    digests = [secrets.token_hex(20) for _ in range(300)]
    slots = [{key_slot(name.encode()) for name in (*keys.of(d), *keys.letters(d[:2]))} for d in digests]

    assert {len(found) for found in slots} == {1}


def test_records_are_spread_over_many_hash_slots():
    slots = {key_slot(Keys().of(f"{shard:02x}" + "0" * 38)[0].encode()) for shard in range(256)}

    assert len(slots) > 200


def test_the_names_of_the_keys_are_those_of_the_design():
    digest = "ab" + "0" * 38

    assert Keys().of(digest) == (f"task_lock:{{ab}}:{digest}", f"task_result:{{ab}}:{digest}", "task_leases:{ab}")
    assert Keys().letters("ab") == ("task_dead:{ab}", "task_dead_index:{ab}", "task_dead_counts:{ab}")
    assert Keys("p:").of(digest)[0] == f"p:task_lock:{{ab}}:{digest}"


def test_redis_lists_live_records_as_locks_and_outcomes_as_results(valkey, redis_store, key_prefix):
    queued, running, waiting, done, failed, dropped = (secrets.token_hex(20) for _ in range(6))
    redis_store.apply(queued, admit())
    redis_store.apply(running, begin())
    redis_store.apply(waiting, wait(redis_store.apply(waiting, begin()).token))
    redis_store.apply(done, complete(redis_store.apply(done, begin()).token))
    redis_store.apply(failed, fail(redis_store.apply(failed, begin()).token))
    redis_store.apply(dropped, admit())
    redis_store.apply(dropped, cancel())

    locks = {name.decode().rpartition(":")[2] for name in valkey.keys(f"{key_prefix}task_lock:*")}
    results = {name.decode().rpartition(":")[2] for name in valkey.keys(f"{key_prefix}task_result:*")}

    assert locks == {queued, running, waiting}
    assert results == {done, failed, dropped}


def test_work_that_runs_again_after_a_failure_leaves_no_result_behind(valkey, redis_store, digest):
    redis_store.apply(digest, fail(redis_store.apply(digest, begin()).token))
    redis_store.apply(digest, begin("m2", "x2"))

    lock, result, _ = redis_store.keys.of(digest)
    assert valkey.exists(lock) == 1
    assert valkey.exists(result) == 0


def test_every_key_of_a_record_has_an_end(valkey, redis_store, digest):
    lock, result, _ = redis_store.keys.of(digest)
    left_ms = []
    token = 0
    for operation in (admit(), confirm(), begin(), heartbeat, release, begin(), wait, begin("m1", "x3"), help_()):
        answer = redis_store.apply(digest, operation(token) if callable(operation) else operation)
        token = answer.token or token
        left_ms.append(valkey.pttl(lock) - TTL_MS)
    redis_store.apply(digest, complete(token))

    expected_ms = [HELP_MS, 10 * HELP_MS, LEASE_MS, LEASE_MS, HELP_MS, LEASE_MS, 60_000 + HELP_MS, LEASE_MS, LEASE_MS]
    assert left_ms == pytest.approx(expected_ms, abs=3000)
    assert valkey.pttl(result) == pytest.approx(TTL_MS, abs=3000)


def test_an_outcome_expires_by_the_servers_clock(redis_store, digest):
    token = redis_store.apply(digest, begin()).token
    redis_store.apply(digest, Complete(token, b"{}", ttl_ms=40))
    replayed = redis_store.apply(digest, begin("m2", "x2"))
    deadline = time.monotonic() + 60
    while redis_store.read(digest) is not None and time.monotonic() < deadline:
        time.sleep(0.01)

    again = redis_store.apply(digest, begin("m3", "x3"))
    assert replayed.kind is Kind.REPLAY
    assert again.kind is Kind.RUN
    assert again.token > token


def test_time_is_the_servers_own(redis_store, digest):
    for _ in range(5):
        before_ms = time.time_ns() // 1_000_000
        token = redis_store.apply(digest, begin()).token
        record = redis_store.read(digest)
        after_ms = time.time_ns() // 1_000_000
        redis_store.apply(digest, complete(token))
        redis_store._client.delete(*redis_store.keys.of(digest))

        assert before_ms <= record.created_ms <= after_ms
        assert record.until_ms == record.created_ms + LEASE_MS
        assert before_ms * 1000 <= token < (after_ms + 1) * 1000


@pytest.mark.parametrize("is_left", [True, False], ids=["left", "right"])
@pytest.mark.parametrize("hash_name", ["", "messages"], ids=["message in the list", "message in a hash"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_an_admission_publishes_its_message_once(
    valkey, redis_store, valkey_url, key_prefix, digest, is_left, hash_name, is_async, request
):
    queue, messages = f"{key_prefix}queue", f"{key_prefix}{hash_name}" if hash_name else ""
    valkey.rpush(queue, "older")
    publication = Publication(queue, ENTRY, is_left, messages, b"payload\x00" if messages else b"")
    operation = Admit("", "m1", b"message", HELP_MS, TTL_MS, publication)
    store = blocking(valkey_url, key_prefix, request) if is_async else redis_store

    kinds = [store.apply(digest, operation).kind for _ in range(3)]
    kinds.append(store.apply(digest, Admit("", "m2", b"other", HELP_MS, TTL_MS, publication)).kind)
    token = store.apply(digest, begin()).token
    kinds.append(store.apply(digest, operation).kind)
    store.apply(digest, complete(token))
    kinds.append(store.apply(digest, operation).kind)

    assert kinds == [*[Kind.ADMITTED] * 3, Kind.INFLIGHT, Kind.INFLIGHT, Kind.REPLAY]
    assert valkey.lrange(queue, 0, -1) == ([ENTRY, b"older"] if is_left else [b"older", ENTRY])
    if messages:
        assert valkey.hgetall(messages) == {ENTRY: b"payload\x00"}


@pytest.mark.parametrize(
    ("earlier", "fingerprint", "kind"),
    [(admit(fingerprint="f1"), "f2", Kind.CONFLICT), (admit(help_ms=0), "", Kind.HELP), (admit(), "", Kind.INFLIGHT)],
    ids=["conflict", "help", "inflight"],
)
def test_an_admission_of_anothers_work_publishes_nothing(
    valkey, redis_store, key_prefix, digest, earlier, fingerprint, kind
):
    publication = Publication(f"{key_prefix}queue", ENTRY, True, f"{key_prefix}messages", b"payload")
    redis_store.apply(digest, earlier)

    answer = redis_store.apply(digest, Admit(fingerprint, "m2", b"message", HELP_MS, TTL_MS, publication))

    assert answer.kind is kind
    assert valkey.exists(f"{key_prefix}queue", f"{key_prefix}messages") == 0


def test_many_admissions_in_one_pipeline_are_each_published(valkey, redis_store, key_prefix):
    queue = f"{key_prefix}queue"
    digests = [secrets.token_hex(20) for _ in range(50)]

    answers = redis_store.apply_many(
        [(d, Admit("", d, b"m", HELP_MS, TTL_MS, Publication(queue, d.encode(), is_left=False))) for d in digests * 2]
    )

    assert {answer.kind for answer in answers} == {Kind.ADMITTED}
    assert valkey.lrange(queue, 0, -1) == [d.encode() for d in digests]


def test_the_memory_store_refuses_a_publication(digest):
    operation = Admit("", "m1", b"message", HELP_MS, TTL_MS, Publication("queue", b"m", is_left=True))

    with pytest.raises(InvalidOptionError, match="memory store"):
        MemoryStore().apply(digest, operation)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_scripts_are_loaded_again_after_they_were_flushed(tmp_path, digest, is_async, request):
    # A server of its own: the shared one's scripts serve other tests.
    with ValkeyServer(tmp_path, fsync=None) as server, redis.Redis.from_url(server.url) as client:
        store = blocking(server.url, "", request) if is_async else RedisStore(server.url)
        store.apply(digest, admit())
        client.script_flush()
        token = store.apply(digest, begin()).token
        client.script_flush()
        answers = store.apply_many([(digest, heartbeat(token)), (digest, complete(token)), (digest, admit("m2"))])
        client.script_flush()
        state = store.read(digest).state
        client.script_flush()
        publication = Publication("queue", ENTRY, is_left=True)
        published = store.apply("00" * 20, Admit("", "m3", b"message", HELP_MS, TTL_MS, publication))

        assert [answer.kind for answer in answers] == [Kind.OK, Kind.OK, Kind.REPLAY]
        assert state is State.COMPLETED
        assert published.kind is Kind.ADMITTED
        assert client.lrange("queue", 0, -1) == [ENTRY]


@pytest.mark.parametrize("known", [admit(), begin(), cancel()], ids=["admit", "begin", "cancel"])
def test_a_pipeline_keeps_its_order_when_the_server_knows_some_of_its_scripts(tmp_path, digest, known):
    with ValkeyServer(tmp_path, fsync=None) as server:
        store = RedisStore(server.url)
        store.apply("00" * 20, known)

        answers = store.apply_many([(digest, admit()), (digest, begin()), (digest, cancel())])

    assert [answer.kind for answer in answers] == [Kind.ADMITTED, Kind.RUN, Kind.OK]


def test_an_asynchronous_store_serves_one_loop_after_another(valkey_url, key_prefix, digest, request):
    first, second = (blocking(valkey_url, key_prefix, request) for _ in range(2))
    first.apply(digest, admit())
    first.apply(digest, begin())

    assert second.apply(digest, admit("m2")).kind is Kind.INFLIGHT
    assert second.unfinished() == 1


def blocking(url, prefix, request):
    from tests.contract.conftest import Blocking

    made = Blocking(AsyncRedisStore(url, prefix=prefix))
    request.addfinalizer(made.end)
    return made
