"""Messages that one call admits: each is answered as if it were by itself, and is there whole or not at all."""

import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
import redis

from queues.errors import StoreFullError, StoreUnavailableError
from queues.idempotency.publication import Publication
from queues.idempotency.state import Admit, Duplicate, Kind, State
from queues.stores.bulk import TOGETHER, TOGETHER_BYTES, Batch
from queues.stores.redis import RedisStore
from queues.stores.scripts import Keys
from tests.contract.operations import admit, begin, complete, play
from tests.servers import ValkeyServer

COUNT = 2 * TOGETHER + 7


def digests(count: int) -> list[str]:
    return [secrets.token_hex(20) for _ in range(count)]


def published(operation: Admit, queue: str) -> Admit:
    return replace(operation, publication=Publication(queue, operation.message_id.encode(), is_left=True))


def sizes(requests: list[tuple[str, Admit]], *, may_join: bool = True) -> list[int]:
    """How many messages each call of a batch is about."""
    calls = Batch(Keys(), requests, None, may_join=may_join).calls
    return [len(call.keys) // 3 if call.script.name == "admit_many" else 1 for call in calls]


@pytest.fixture
def forbidding_url(valkey: redis.Redis, valkey_url: str) -> Iterator[str]:
    """As a user who may do what an older release needed."""
    name = f"old-{secrets.token_hex(4)}"
    valkey.acl_setuser(name, enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-exists"])
    yield valkey_url.replace("://", f"://{name}:pw@")
    valkey.acl_deluser(name)


def test_each_is_told_what_it_would_be_told_by_itself(any_store):
    names = digests(COUNT)
    any_store.apply(names[3], admit("earlier"))
    token = any_store.apply(names[5], begin("earlier")).token
    any_store.apply(names[5], complete(token))
    requests = [(digest, admit(f"m{number}")) for number, digest in enumerate(names)]

    answers = any_store.apply_many([*requests, (names[0], admit("twin"))])
    again = any_store.apply_many(requests)

    expected = [(Kind.ADMITTED, f"m{number}", State.QUEUED) for number in range(COUNT)]
    expected[3] = (Kind.INFLIGHT, "earlier", State.QUEUED)
    expected[5] = (Kind.REPLAY, "earlier", State.COMPLETED)
    told = [(answer.kind, answer.owner, answer.state) for answer in answers]
    assert told == [*expected, (Kind.INFLIGHT, "m0", State.QUEUED)]
    assert [(answer.kind, answer.owner, answer.state) for answer in again] == expected


def test_batches_of_duplicates_and_of_new_work_are_all_answered(redis_store, valkey):
    old, new, newer = digests(COUNT), digests(COUNT), digests(COUNT)
    redis_store.apply_many([(digest, admit("earlier")) for digest in old])
    answers = []
    valkey.config_resetstat()
    with closing(redis_store.pipeline()) as pipeline:
        for number, names in enumerate((old, old, new, newer)):
            pipeline.send([(digest, admit(f"m{number}")) for digest in names])
            answers.append([answer.kind for answer in pipeline.receive()])
    calls = valkey.info("commandstats")["cmdstat_evalsha"]["calls"]

    assert answers == [[kind] * COUNT for kind in (Kind.INFLIGHT, Kind.INFLIGHT, Kind.ADMITTED, Kind.ADMITTED)]
    # The first is asked for together, in vain; what follows duplicates one by one; what follows new work together. That
    # makes 3 + COUNT, COUNT, COUNT and 3; what earlier tests left to be renewed may add some.
    assert 3 * COUNT + 6 <= calls < 4 * COUNT


def test_each_is_on_its_queue_once_and_in_order(redis_store, valkey, key_prefix):
    queue = f"{key_prefix}queue"
    requests = [(digest, published(admit(f"m{number}"), queue)) for number, digest in enumerate(digests(COUNT))]

    redis_store.apply_many(requests)
    redis_store.apply_many(requests)

    assert valkey.lrange(queue, 0, -1) == [b"m%d" % number for number in reversed(range(COUNT))]


def test_messages_that_differ_in_how_they_are_admitted_are_not_admitted_by_one_call():
    plain = [(digest, admit()) for digest in digests(3)]
    others = [
        published(admit(), "queue"),
        replace(admit(), ttl_ms=1),
        admit(fingerprint="f1"),
        replace(admit(), quiet_ms=1),
        replace(admit(), begin_by_ms=1),
        replace(admit(), is_held=True),
    ]
    mixed = [*plain, *((digests(1)[0], other) for other in others), *plain]

    assert sizes(mixed) == [3, 1, 1, 1, 1, 1, 1, 3]
    assert sizes(plain * 40) == [TOGETHER, TOGETHER, 20]
    assert sizes(plain, may_join=False) == [1, 1, 1]


def test_a_message_that_changes_work_that_is_there_is_not_admitted_after_another():
    replacing = replace(admit("m2"), duplicate=Duplicate.REPLACE)
    one, other = digests(2)

    assert sizes([(one, admit()), (other, admit()), (one, replacing)]) == [1, 1, 1]


def test_long_messages_are_admitted_by_more_calls():
    long = [(digest, admit(message=b"x" * (TOGETHER_BYTES // 4))) for digest in digests(10)]

    assert sizes(long) == [4, 4, 2]


def test_a_queue_of_another_type_leaves_nothing_of_any(redis_store, valkey, key_prefix):
    queue = f"{key_prefix}queue"
    valkey.set(queue, "no list")
    requests = [(digest, published(admit(), queue)) for digest in digests(5)]

    answers = redis_store.apply_each(requests)

    assert all(isinstance(answer, StoreUnavailableError) for answer in answers)
    assert redis_store.read_many([digest for digest, _ in requests]) == [None] * 5
    assert redis_store.unfinished() == 0


def test_a_full_server_takes_none_of_them_and_then_all(tmp_path):
    with ValkeyServer(tmp_path, fsync=None) as server, redis.Redis.from_url(server.url) as client:
        store = RedisStore(server.url)
        store.apply(secrets.token_hex(20), admit())  # which makes the scripts known
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        requests = [(digest, published(admit(), "queue")) for digest in digests(5)]
        refused = store.apply_each(requests)
        records = store.read_many([digest for digest, _ in requests])
        client.config_set("maxmemory", 0)
        taken = store.apply_each(requests)

    assert [type(answer) for answer in refused] == [StoreFullError] * 5
    assert records == [None] * 5
    assert [getattr(answer, "kind", None) for answer in taken] == [Kind.ADMITTED] * 5


def test_a_server_that_refuses_the_call_is_asked_for_each(forbidding_url, key_prefix):
    store = RedisStore(forbidding_url, prefix=key_prefix)
    requests = [(digest, admit(f"m{number}")) for number, digest in enumerate(digests(COUNT))]

    answers = store.apply_many(requests)

    assert [answer.owner for answer in answers] == [f"m{number}" for number in range(COUNT)]
    assert store.unfinished() == COUNT


def test_what_was_admitted_with_others_runs_as_any(redis_store, clock):
    names = digests(3)
    redis_store.apply_many([(digest, admit(f"m{number}")) for number, digest in enumerate(names)])

    kinds = [answer.kind for answer in play(redis_store, clock, names[1], [begin("m1"), complete])]

    assert kinds == [Kind.RUN, Kind.OK]
