"""What every store says of the work that is due, and reads of it."""

import secrets
from dataclasses import replace

from queues.idempotency.state import State
from queues.idempotency.store import Due
from tests.contract.operations import HELP_MS, LEASE_MS, admit, begin, complete, help_, holding, play


def names(found: list[Due]) -> list[str]:
    return [due.digest for due in found]


def test_overdue_lists_what_anyone_may_publish_again(store, clock):
    late, running, done = (f"{shard}{secrets.token_hex(19)}" for shard in ("00", "7f", "ff"))
    play(store, clock, late, [admit()])
    play(store, clock, done, [begin(), complete])
    clock.advance(HELP_MS)
    play(store, clock, running, [begin()])

    at_once = names(store.due(0, 10))
    clock.advance(LEASE_MS)
    later = names(store.due(0, 10))
    store.apply(late, help_())

    assert at_once == [late]
    assert sorted(later) == sorted([late, running])
    assert names(store.due(0, 10)) == [running]
    assert len(later[:1]) == len(store.due(0, 1))


def test_overdue_gives_no_more_than_it_was_asked_for(store, clock):
    digests = [f"{number % 3:02x}{secrets.token_hex(19)}" for number in range(9)]
    for digest in digests:
        store.apply(digest, admit())
    clock.advance(HELP_MS)

    assert len(store.due(0, 4)) == 4
    assert sorted(names(store.due(0, 100))) == sorted(digests)


def test_what_is_due_soon_is_listed_with_its_time_after_what_is_overdue(store, clock):
    late, soon, sooner, later = (f"{shard}{secrets.token_hex(19)}" for shard in ("ff", "00", "7f", "80"))
    play(store, clock, late, [admit()])
    clock.advance(HELP_MS + 5)
    for digest, delay_ms in ((soon, 2_000), (sooner, 1_000), (later, 2_001)):
        store.apply(digest, replace(holding(), quiet_ms=delay_ms))

    found = store.due(2_000, 10)

    assert found == [Due(late, -5), Due(sooner, 1_000), Due(soon, 2_000)]
    assert store.due(2_000, 2) == found[:2]


def test_many_records_are_read_at_once(store, clock, digest):
    other = secrets.token_hex(20)
    play(store, clock, digest, [admit(), begin()])
    store.apply(other, admit("m2"))

    records = store.read_many([digest, secrets.token_hex(20), other])

    assert [record and (record.state, record.owner) for record in records] == [
        (State.RUNNING, "m1"),
        None,
        (State.QUEUED, "m2"),
    ]
    assert store.read_many([]) == []
