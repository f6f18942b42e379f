"""`queues metrics`: what only Redis knows, for Prometheus."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import redis

from queues.idempotency.state import Admit
from queues.stores.redis import RedisStore
from queues.stores.redis_census import READ_PER_SHARD, RedisCensus
from tests.cluster import ValkeyCluster
from tests.contract.operations import bury
from tests.integration.cli.conftest import Run, Shop
from tests.ports import free_port
from tests.scrape import Scrape, scraped
from tests.servers import ValkeyServer
from tests.stage import eventually

DEPTH = "onceq_queue_depth_tasks"


@pytest.fixture
def own_server(tmp_path) -> Iterator[ValkeyServer]:
    """A server that counts this test's commands only."""
    with ValkeyServer(tmp_path, fsync=None) as server:
        yield server


def test_the_depth_by_state_the_ages_and_the_workers_are_told(shop: Shop, queues: Run):
    sent = [shop.charge.send(f"o-{number}") for number in range(5)]
    shop.begin(sent[1])
    shop.begin(sent[2], lease_ms=1)  # its worker is gone
    shop.wait(sent[3], 40_000)
    shop.complete(sent[4])
    shop.store.apply("ab" * 20, bury("m1"))
    for worker in ("celery@host:1", "celery@host:2", "dramatiq@host:3"):
        shop.store.announce(worker)
    time.sleep(0.05)  # for the ages, which are told in ms

    told = Scrape(queues("metrics").out)

    assert {state: told.total(DEPTH, state=state) for state in ("queued", "running", "waiting", "unread")} == {
        "queued": 1,
        "running": 2,
        "waiting": 1,
        "unread": 0,
    }
    assert told.total("onceq_overdue_tasks") == 1
    assert 0.04 < told.total("onceq_overdue_seconds") < 60
    assert 0.05 <= told.total("onceq_lease_age_seconds") < 60
    assert 0.05 <= told.total("onceq_queued_age_seconds") < 60
    assert (told.total("onceq_workers", backend="celery"), told.total("onceq_workers", backend="dramatiq")) == (2, 1)
    assert told.total("onceq_dead_letters") == 1
    assert told.total("onceq_redis_up") == 1


def test_a_program_gets_the_same_as_json(shop: Shop, queues: Run):
    shop.charge.send("o-1")

    assert queues("metrics", "--json").document["states"] == {"queued": 1, "running": 0, "waiting": 0, "unread": 0}


def test_an_empty_redis_has_nothing_to_tell(queues: Run):
    told = Scrape(queues("metrics").out)

    assert told.total(DEPTH) == told.total("onceq_overdue_seconds") == told.total("onceq_lease_age_seconds") == 0


def test_the_cost_of_a_scrape_does_not_grow_with_the_work(own_server: ValkeyServer):
    shop = Shop(own_server.url, "")
    census = RedisCensus(own_server.url)
    works = 256 * READ_PER_SHARD * 2
    try:
        shop.charge.send_many([(f"o-{number}",) for number in range(works)])
        with redis.Redis.from_url(own_server.url) as client:
            client.config_resetstat()
            taken = census.taken()
            calls = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in client.info("commandstats").items()}
    finally:
        census.close()
        shop.close()

    assert sum(taken.states.values()) == works
    assert taken.states["unread"] > 0
    assert calls["hmget"] <= 256 * READ_PER_SHARD
    assert not {"keys", "scan", "zscan", "hgetall"} & calls.keys()


def test_the_metrics_are_served_and_say_when_redis_is_away(own_server: ValkeyServer):
    port = free_port()
    command = [sys.executable, "-m", "queues.cli", "metrics", "--port", str(port), "--redis-url", own_server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as served:
        try:
            eventually(lambda: scraped(port).total("onceq_redis_up") == 1, within_s=60)
            own_server.kill()
            eventually(lambda: scraped(port).samples.get("onceq_redis_up") == [({}, 0.0)], within_s=60)
            own_server.start()
            eventually(lambda: scraped(port).total("onceq_redis_up") == 1, within_s=60)
        finally:
            served.kill()


@pytest.mark.parametrize("text", ["0", "65536", "-1", "x"])
def test_a_port_that_is_none_is_refused(queues: Run, text: str):
    ended = queues("metrics", "--port", text)

    assert ended.code == 64
    assert "--port" in ended.err


def test_a_port_that_is_taken_is_one_line_and_64(own_server: ValkeyServer, queues: Run):
    ended = queues("metrics", "--port", str(own_server.port))

    assert (ended.code, ended.out) == (64, "")
    assert "cannot be had" in ended.err


def test_the_work_of_every_node_of_a_cluster_is_counted(cluster: ValkeyCluster, key_prefix: str):
    store, census = RedisStore(cluster.url, prefix=key_prefix), RedisCensus(cluster.url, prefix=key_prefix)
    digests = [f"{number:02x}" * 20 for number in range(0, 256, 8)]
    try:
        for digest in digests:
            store.apply(digest, Admit("", f"{digest}-1", b"{}", 60_000, 60_000))
        taken = census.taken()
    finally:
        census.close()
        store.close()

    assert dict(taken.states) == {"queued": len(digests), "running": 0, "waiting": 0, "unread": 0}
