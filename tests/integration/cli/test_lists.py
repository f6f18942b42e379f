"""`queues locks`, `results`, `workers` and `stats` on records of every state."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from queues.stores.redis_listing import RedisListing
from tests.integration.cli.conftest import Run, Shop
from tests.servers import ValkeyServer
from tests.stage import eventually

LOCKS = """\
STATE  TASK  ID  ATTEMPT  LOST  AGE  NEXT
running  shop.charge  <id>  1  -  <time>  lease for <time>
"""
STATS = """\
  queued  1
  running  1
  waiting  1
  completed  1
  failed  1
  dead  0
  overdue  0
  dead letters  1
  workers  1
"""


def fill(shop: Shop) -> None:
    """Make a queued, a running, a waiting, a completed and a failed task, and a worker."""
    sent = [shop.charge.send(f"o-{number}") for number in range(4)]
    shop.begin(sent[1])
    shop.wait(sent[2], 40_000)
    shop.complete(sent[3])
    shop.fail(shop.refund.send("o-5"))
    shop.store.announce("celery@host:1")


@pytest.fixture
def busy(shop: Shop) -> Shop:
    """An application with a record of every state."""
    fill(shop)
    return shop


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A server that counts this test's commands only: on the shared one the workers of other tests look for work."""
    with ValkeyServer(tmp_path) as server:
        yield server


def test_unfinished_work_is_a_table_of_this_form(busy: Shop, queues: Run) -> None:
    ended = queues("locks", "--state", "running")

    assert ended.golden == LOCKS
    assert ended.code == 0


@pytest.mark.parametrize(
    ("options", "states"),
    [
        ((), {"queued", "running", "waiting"}),
        (("--state", "waiting"), {"waiting"}),
        (("--task", "shop.charge"), {"queued", "running", "waiting"}),
        (("--task", "shop.refund"), set()),
        (("--overdue",), set()),
    ],
)
def test_unfinished_work_is_chosen_by_state_task_and_lateness(
    busy: Shop, queues: Run, options: tuple[str, ...], states: set[str]
) -> None:
    found = queues("locks", "--json", *options).document["records"]

    assert {record["state"] for record in found} == states


def test_overdue_work_is_listed(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")
    shop.begin(handle, lease_ms=100)

    eventually(lambda: queues("locks", "--overdue", "--json").document["records"])

    assert "overdue since" in queues("locks", "--overdue").out


def test_a_limit_says_that_there_is_more(busy: Shop, queues: Run) -> None:
    ended, document = queues("locks", "--limit", "2"), queues("locks", "--limit", "2", "--json").document

    assert "There are more than these 2" in ended.out
    assert (len(document["records"]), document["has_more"]) == (2, True)


def test_each_of_many_records_is_listed_once(shop: Shop, queues: Run) -> None:
    sent = shop.charge.send_many([(f"o-{number}",) for number in range(1_200)])

    found = queues("locks", "--json", "--limit", "5000").document

    assert sorted(record["id"] for record in found["records"]) == sorted(handle.id for handle in sent)
    assert not found["has_more"]


def test_outcomes_are_listed_and_failures_alone(busy: Shop, queues: Run) -> None:
    every = queues("results", "--json").document["records"]
    failed = queues("results", "--failed", "--json").document["records"]

    assert sorted(record["state"] for record in every) == ["completed", "failed"]
    assert [record["state"] for record in failed] == ["failed"]
    assert failed[0]["error"]["type"] == "queues.errors.LeaseLostError"


def test_the_states_are_counted(busy: Shop, queues: Run) -> None:
    assert queues("stats").golden == STATS
    assert queues("stats", "--json").document["states"]["waiting"] == 1


def test_workers_are_listed(busy: Shop, queues: Run) -> None:
    assert queues("workers").golden == "WORKER  BACKEND  SEEN\ncelery@host:1  celery  <time> ago\n"
    assert queues("workers", "--json").document["workers"][0]["backend"] == "celery"


def test_nothing_is_said_to_be_nothing(queues: Run) -> None:
    assert queues("locks").golden == "Nothing of that kind in <place>.\n"
    assert queues("results").code == 0
    assert "No worker was seen" in queues("workers").out


def test_records_of_another_prefix_are_not_shown(busy: Shop, queues: Run) -> None:
    assert queues("locks", "--prefix", "", "--state", "waiting", "--task", "shop.charge").code == 0
    assert not queues("results", "--prefix", "nobody*", "--json").document["records"]


def test_neither_keys_nor_a_write_is_sent(own_server: ValkeyServer, key_prefix: str, queues: Run) -> None:
    shop = Shop(own_server.url, key_prefix)
    fill(shop)
    with redis.Redis.from_url(own_server.url) as client:
        client.config_resetstat()
        for command in (
            ["locks"],
            ["results"],
            ["workers"],
            ["stats"],
            ["explain", "0" * 40],
            ["dead-letters", "list"],
        ):
            assert queues(*command, "--redis-url", own_server.url).code == int(command[0] == "explain")
        sent = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
    shop.close()

    harmless = {"hmget", "hget", "hstrlen", "pttl", "zscore", "zscan", "scan", "time", "zrangebyscore", "info", "ping"}
    harmless |= {"zcard", "zrevrangebyscore"}
    assert {name for name in sent if not name.startswith(("client", "hello", "select", "config"))} <= harmless


def test_what_lies_there_and_is_no_record_is_told_and_stops_nothing(shop: Shop, queues: Run) -> None:
    sent, strange, other = shop.charge.send("o-1"), "ab" * 20, "cd" * 20
    client, keys = shop.store._client, shop.store.keys
    client.set(keys.of(strange)[0], "not a hash")
    client.hset(keys.of(other)[0], "state", "no such state")
    client.zadd(keys.of(strange)[2], {strange: 1, b"\xff\xfe": 1, "short": 1})
    client.zadd(keys.of(other)[2], {other: 1})

    ended = [queues("locks"), queues("stats"), queues("doctor"), queues("explain", strange), queues("explain", other)]

    assert [e.err for e in ended] == [""] * 5
    assert sent.id in ended[0].out
    assert "no record of this library" in ended[0].out
    assert "unreadable" in ended[2].out
    assert "cannot be read" in ended[3].out


def test_a_scan_ends_at_its_limit_and_says_so(busy: Shop, valkey_url: str, key_prefix: str) -> None:
    client = busy.store._client
    client.mset({f"{key_prefix}filler:{number}": 1 for number in range(5_000)})
    listing = RedisListing(valkey_url, prefix=key_prefix, max_scanned_keys=2_000)

    list(listing.finished())

    listing.close()
    assert listing.is_cut
