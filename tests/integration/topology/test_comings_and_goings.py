"""Servers that have lost their master or their cluster, restart under many clients, or fail over."""

import secrets
import threading
from pathlib import Path

import pytest
import redis

from queues.errors import NotReplicatedError, StoreUnavailableError
from queues.idempotency.state import Admit, Kind, State
from queues.stores.redis import RedisStore
from tests.cluster import QUICK_MS, ValkeyCluster
from tests.contract.operations import HELP_MS, TTL_MS, admit, begin, complete
from tests.integration.topology.insisting import PATIENCE_S, insisting
from tests.sentinels import Sentinels
from tests.servers import ValkeyServer
from tests.stage import eventually

CLIENTS = 50


def test_a_replica_that_has_lost_its_master_says_so(tmp_path: Path):
    with ValkeyServer(tmp_path, fsync=None) as server:
        with redis.Redis.from_url(server.url) as client:
            client.config_set("replica-serve-stale-data", "no")
            client.replicaof("127.0.0.1", "1")
        store = RedisStore(server.url)
        with pytest.raises(StoreUnavailableError, match=r"(?i)master is down"):
            store.apply("ab" * 20, admit())
        with redis.Redis.from_url(server.url) as client:
            client.replicaof("NO", "ONE")

        assert store.apply("ab" * 20, admit()).kind is Kind.ADMITTED


def test_a_cluster_that_lacks_a_node_says_so_and_goes_on_with_it(tmp_path: Path):
    with ValkeyCluster(tmp_path, node_timeout_ms=QUICK_MS) as cluster:
        store = RedisStore(cluster.url)
        digest = next(
            d for d in iter(lambda: secrets.token_hex(20), "") if held_by(store, d) == cluster.masters[0].port
        )
        token = store.apply(digest, begin()).token
        cluster.masters[2].kill()
        cluster.wait_for(lambda: b"cluster_state:fail" in cluster.ask(cluster.masters[0], "CLUSTER", "INFO"))

        with pytest.raises(StoreUnavailableError, match=r"(?i)cluster"):
            store.apply(digest, complete(token))
        cluster.masters[2].start()
        ended = insisting(lambda: store.apply(digest, complete(token)))

    assert ended.kind is Kind.OK


def held_by(store: RedisStore, digest: str) -> int:
    return store._client.node_of(store.keys.of(digest)[0]).connection_pool.connection_kwargs["port"]


def ended_once(store: RedisStore, digest: str) -> tuple[str, int]:
    """The digest of work that was submitted, begun and completed, and its token."""
    insisting(lambda: store.apply(digest, admit()))
    token = insisting(lambda: store.apply(digest, begin())).token
    assert insisting(lambda: store.apply(digest, complete(token))).kind is Kind.OK
    return digest, token


def test_a_restart_under_fifty_clients_costs_none_of_them_an_outcome(tmp_path: Path):
    with ValkeyServer(tmp_path, fsync="always") as server:
        done: dict[str, int] = {}
        ended = threading.Event()

        def work() -> None:
            store = RedisStore(server.url)
            while not ended.is_set():
                done.update([ended_once(store, secrets.token_hex(20))])
            store.close()

        clients = [threading.Thread(target=work) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        for _ in range(2):
            before = len(done)
            eventually(lambda before=before: len(done) > before + 2 * CLIENTS, within_s=PATIENCE_S)
            server.kill()
            server.start()
        before = len(done)
        eventually(lambda: len(done) > before + 2 * CLIENTS, within_s=PATIENCE_S)
        ended.set()
        for client in clients:
            client.join(PATIENCE_S)

        records = RedisStore(server.url).read_many([*done])
        assert not any(client.is_alive() for client in clients)
        assert [(r.state, r.token) for r in records if r is not None] == [(State.COMPLETED, t) for t in done.values()]


@pytest.mark.slow
def test_what_replicas_were_waited_for_outlives_a_failover(tmp_path: Path):
    def kept(digest: str) -> Admit:
        return Admit("", f"{digest}-m", b"message", HELP_MS, TTL_MS, replicas=1)

    with Sentinels(tmp_path) as sentinels:
        eventually(sentinels.is_in_step, within_s=PATIENCE_S)
        store = RedisStore(sentinels.url)
        accepted: list[str] = []
        refused = threading.Event()

        def produce() -> None:
            while not refused.is_set():
                digest = secrets.token_hex(20)
                try:
                    store.apply(digest, kept(digest))
                except StoreUnavailableError:
                    refused.set()
                else:
                    accepted.append(digest)

        producer = threading.Thread(target=produce)
        producer.start()
        eventually(lambda: len(accepted) > 100, within_s=PATIENCE_S)
        sentinels.master.kill()
        producer.join(PATIENCE_S)
        eventually(lambda: sentinels.master_port() == sentinels.replica.port, within_s=PATIENCE_S)

        found = insisting(lambda: store.read_many(accepted))
        with pytest.raises(NotReplicatedError):  # the new master has no replica
            insisting(lambda: store.apply(accepted[0], kept(accepted[0])), on_replicas=False)
        sentinels.master.start()  # the sentinels make it the replica
        again = insisting(lambda: store.apply(accepted[0], kept(accepted[0])))

    assert refused.is_set()
    assert [record.owner for record in found if record is not None] == [f"{digest}-m" for digest in accepted]
    assert again.kind is Kind.ADMITTED
