"""A completed record takes few bytes in Redis, and what an older version wrote is read as before."""

import asyncio
from dataclasses import replace

import pytest

from queues.idempotency import envelope
from queues.idempotency.key import message_id
from queues.idempotency.state import Kind, Look, State
from queues.stores.redis import RedisStore
from queues.stores.redis_async import AsyncRedisStore
from queues.stores.redis_listing import RedisListing
from queues.stores.scripts import NOTHING
from tests.contract.operations import TTL_MS, admit, begin, complete, fail

ASKED_MS, WAIT_MS, RAN_MS = 1_760_000_000_000, 1_234, 567
TOKEN = (ASKED_MS + WAIT_MS) * 1000 + 89
NONCE = "0123456789ab"
MAX_BYTES = 200
"""Of MEMORY USAGE; with its places in the server's tables, a record then takes less than 250 bytes."""


def completed(store: RedisStore, digest: str, owner: str, outcome: bytes) -> dict[bytes, bytes]:
    """The fields of the record of work that was admitted, begun and completed."""
    store.apply(digest, admit(owner))
    token = store.apply(digest, begin(owner)).token
    store.apply(digest, complete(token, outcome))
    return store._client.hgetall(store.keys.of(digest)[1])


def older(digest: str, state: State, outcome: bytes) -> dict[str, str | int | bytes]:
    """What version 0.1.0 wrote until it stored completions short."""
    times = {"created": ASKED_MS, "finished": ASKED_MS + WAIT_MS + RAN_MS}
    return {"state": state.value, "owner": f"{digest}-{NONCE}", "token": TOKEN, "outcome": outcome, **times}


def short(outcome: bytes) -> dict[str, str | int | bytes]:
    """The same completion as it is written now."""
    fields = {"state": "completed", "owner": f"-{NONCE}", "token": TOKEN, "wait": WAIT_MS, "ran": RAN_MS}
    return fields if outcome == NOTHING else {**fields, "outcome": outcome}


def test_the_outcome_that_is_left_out_is_that_of_a_task_that_returned_nothing():
    assert envelope.of_value(None, 100) == NOTHING


def test_a_completion_without_a_result_takes_few_bytes(valkey, redis_store, digest):
    fields = completed(redis_store, digest, message_id(digest), NOTHING)

    assert set(fields) == {b"state", b"owner", b"token", b"wait", b"ran"}
    assert valkey.memory_usage(redis_store.keys.of(digest)[1]) <= MAX_BYTES


def test_a_result_is_stored_beside_the_rest(redis_store, digest):
    fields = completed(redis_store, digest, message_id(digest), b'{"ok":7}')

    assert set(fields) == {b"state", b"owner", b"token", b"wait", b"ran", b"outcome"}


@pytest.mark.parametrize("owner", ["-0123456789ab", "made-elsewhere"])
def test_an_id_without_the_digest_is_stored_whole(redis_store, digest, owner):
    fields = completed(redis_store, digest, owner, NOTHING)

    assert (fields[b"owner"], fields[b"outcome"]) == (owner.encode(), NOTHING)
    assert redis_store.read(digest).owner == owner
    assert redis_store.apply(digest, admit("m2")).owner == owner


def test_a_failure_keeps_the_id_whole_for_the_workers_of_an_older_version(redis_store, digest):
    owner = message_id(digest)
    redis_store.apply(digest, fail(redis_store.apply(digest, begin(owner)).token))

    assert redis_store._client.hget(redis_store.keys.of(digest)[1], "owner") == owner.encode()


@pytest.mark.parametrize("outcome", [NOTHING, b'{"ok":7}'])
def test_both_ways_of_writing_a_completion_are_read_alike(valkey, valkey_url, redis_store, key_prefix, digest, outcome):
    result = redis_store.keys.of(digest)[1]
    read, answers = [], []
    for fields in (older(digest, State.COMPLETED, outcome), short(outcome)):
        valkey.delete(result)
        valkey.hset(result, mapping=fields)
        valkey.pexpire(result, TTL_MS)
        read.append(everywhere(valkey_url, key_prefix, digest))
        asked = (
            admit("m2"),
            begin("m2", "x2"),
            complete(TOKEN),
            admit(fingerprint="other"),
            Look("", True),
            Look("", False),
        )
        answers.append([redis_store.apply(digest, operation) for operation in asked])

    assert read[0] == read[1]
    assert answers[0] == answers[1]
    record = read[0][0]
    assert (record.state, record.owner, record.outcome) == (State.COMPLETED, f"{digest}-{NONCE}", outcome)
    assert (record.created_ms, record.finished_ms) == (ASKED_MS, ASKED_MS + WAIT_MS + RAN_MS)
    assert [answer.kind for answer in answers[0]] == [*[Kind.REPLAY] * 2, Kind.OK, Kind.CONFLICT, *[Kind.REPLAY] * 2]
    assert {answer.outcome for answer in answers[0] if answer.kind is Kind.REPLAY} == {outcome}
    assert {answer.owner for answer in answers[0]} == {f"{digest}-{NONCE}"}


def test_a_failure_of_an_older_version_is_replayed_to_its_own_message(valkey, redis_store, digest):
    owner = f"{digest}-{NONCE}"
    valkey.hset(redis_store.keys.of(digest)[1], mapping=older(digest, State.FAILED, b'{"error":{"type":"E"}}'))

    assert redis_store.apply(digest, begin(owner)).kind is Kind.REPLAY_ERROR
    assert redis_store.apply(digest, begin("m2", "x2")).kind is Kind.RUN


def test_a_long_result_is_told_by_its_length_only(redis_store, valkey_url, key_prefix, digest):
    completed(redis_store, digest, message_id(digest), b'{"ok":"%s"}' % (b"x" * 70_000))

    listing = RedisListing(valkey_url, prefix=key_prefix)
    found = listing.read(digest)
    listing.close()

    assert (found.record.outcome, found.outcome_bytes) == (b"", 70_009)


def everywhere(url: str, prefix: str, digest: str) -> list[object]:
    """The record as each way of reading tells it, but for the time that it still has."""
    store, listing = RedisStore(url, prefix=prefix), RedisListing(url, prefix=prefix)
    found = listing.read(digest)
    records = [
        store.read(digest),
        *store.read_many([digest]),
        found.record,
        asyncio.run(read_async(url, prefix, digest)),
    ]
    store.close()
    listing.close()
    return [*(replace(record, expires_ms=0) for record in records), found.outcome_bytes]


async def read_async(url: str, prefix: str, digest: str):
    """The record as an event loop reads it."""
    store = AsyncRedisStore(url, prefix=prefix)
    record = await store.read(digest)
    await store.close()
    return record
