"""A real cluster whose nodes die, hang and change their slots while work goes on."""

import secrets
import threading
import time
from collections.abc import Iterator

import pytest
from redis.crc import key_slot

from queues.errors import StoreUnavailableError
from queues.idempotency.state import Kind, State
from queues.stores.redis import RedisStore
from queues.stores.redis_listing import RedisListing
from tests.cluster import QUICK_MS, ValkeyCluster
from tests.contract.operations import admit, begin, complete, heartbeat
from tests.integration.topology.insisting import PATIENCE_S, insisting
from tests.servers import ValkeyServer
from tests.stage import eventually


def on(cluster: ValkeyCluster, node: ValkeyServer, store: RedisStore, count: int) -> list[str]:
    """Digests whose records are held by a node."""
    client = store._client
    digests: list[str] = []
    while len(digests) < count:
        digest = secrets.token_hex(20)
        if client.node_of(store.keys.of(digest)[0]).connection_pool.connection_kwargs["port"] == node.port:
            digests.append(digest)
    return digests


@pytest.fixture(scope="module")
def replicated(tmp_path_factory) -> Iterator[ValkeyCluster]:
    """A cluster whose first master has a replica."""
    with ValkeyCluster(tmp_path_factory.mktemp("replicated"), replicas=1, node_timeout_ms=QUICK_MS) as started:
        yield started


def test_a_node_that_hangs_costs_only_what_it_holds(cluster: ValkeyCluster, key_prefix):
    store = RedisStore(f"{cluster.url}?socket_timeout=0.3", prefix=key_prefix)
    held = [on(cluster, node, store, 3) for node in cluster.masters]
    digests = [digest for some in held for digest in some]
    tokens = [answer.token for answer in store.apply_many([(digest, begin()) for digest in digests])]

    with cluster.masters[1].paused():
        answers = store.apply_each([(d, heartbeat(t)) for d, t in zip(digests, tokens, strict=True)])

    kinds = ["away" if isinstance(a, StoreUnavailableError) else a.kind.value for a in answers]
    assert kinds == [*["ok"] * 3, *["away"] * 3, *["ok"] * 3]
    cluster.wait_for(lambda: all(b"cluster_state:ok" in cluster.ask(n, "CLUSTER", "INFO") for n in cluster.nodes))


@pytest.mark.slow
def test_a_killed_master_is_replaced_by_its_replica_and_its_work_goes_on(replicated: ValkeyCluster):
    master, replica = replicated.masters[0], replicated.replicas[0]
    store, late = RedisStore(replicated.url), RedisStore(replicated.url)
    digests = on(replicated, master, store, 20)
    tokens = [answer.token for answer in store.apply_many([(digest, begin()) for digest in digests])]
    eventually(lambda: replicated.ask(master, "WAIT", 1, 100) == 1)

    master.kill()
    first = insisting(lambda: store.apply(digests[0], complete(tokens[0])))
    rest = insisting(lambda: store.apply_many([(d, complete(t)) for d, t in zip(digests, tokens, strict=True)]))
    repeated = late.apply_many([(digest, admit("m2")) for digest in digests])

    assert first.kind is Kind.OK
    assert {answer.kind for answer in rest} == {Kind.OK}
    assert {answer.kind for answer in repeated} == {Kind.REPLAY}
    assert replicated.ask(replica, "ROLE")[0] == b"master"


class Load(threading.Thread):
    """Submits, begins and completes work until it is told to stop, and insists on each answer."""

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__()
        self.store = RedisStore(url, prefix=prefix)
        self.tokens: dict[str, int] = {}
        self.ended = threading.Event()
        self.problem: StoreUnavailableError | None = None

    def run(self) -> None:
        try:
            while not self.ended.is_set():
                digests = [secrets.token_hex(20) for _ in range(20)]
                insisting(lambda digests=digests: self.store.apply_many([(d, admit()) for d in digests]))
                for digest in digests:
                    token = insisting(lambda digest=digest: self.store.apply(digest, begin())).token
                    insisting(lambda d=digest, t=token: self.store.apply(d, complete(t)))
                    self.tokens[digest] = token
        except StoreUnavailableError as exc:
            self.problem = exc


@pytest.fixture(scope="module")
def growing(tmp_path_factory) -> Iterator[tuple[ValkeyCluster, ValkeyServer]]:
    """A cluster, and a node of it that holds no slot yet."""
    with ValkeyCluster(tmp_path_factory.mktemp("growing")) as cluster, cluster.extended() as fresh:
        yield cluster, fresh


def test_the_work_of_a_slot_waits_while_the_slot_is_on_its_way(growing, key_prefix):
    cluster, fresh = growing
    store = RedisStore(cluster.url, prefix=key_prefix)
    digest = "01" + secrets.token_hex(19)
    token = store.apply(digest, begin()).token

    with cluster.moving(key_slot(store.keys.of(digest)[0].encode()), fresh):
        # No script may touch keys of which some are here, some there and some nowhere; one key may be asked for.
        with pytest.raises(StoreUnavailableError):
            store.apply(digest, heartbeat(token))
        [answer] = store.apply_each([(digest, heartbeat(token))])
        unfinished = store.unfinished()
    [after] = store.apply_many([(digest, complete(token))])

    assert isinstance(answer, StoreUnavailableError)
    assert unfinished == 1
    assert after.kind is Kind.OK


@pytest.mark.slow
def test_slots_that_move_to_a_new_node_under_load_lose_nothing(growing, key_prefix):
    cluster, fresh = growing
    loads = [Load(cluster.url, key_prefix) for _ in range(2)]
    for load in loads:
        load.start()
    eventually(lambda: all(len(load.tokens) > 50 for load in loads), within_s=PATIENCE_S)

    for shard in range(0x10, 0x100, 8):
        with cluster.moving(key_slot(loads[0].store.keys.of(f"{shard:02x}")[0].encode()), fresh):
            pass
    counts = [len(load.tokens) for load in loads]
    eventually(
        lambda: all(len(load.tokens) > n + 50 for load, n in zip(loads, counts, strict=True)), within_s=PATIENCE_S
    )
    for load in loads:
        load.ended.set()
    for load in loads:
        load.join()

    store = RedisStore(cluster.url, prefix=key_prefix)
    expected = {digest: (State.COMPLETED, token) for load in loads for digest, token in load.tokens.items()}
    records = {digest: store.read(digest) for digest in expected}
    assert [load.problem for load in loads] == [None, None]
    assert {digest: (record.state, record.token) for digest, record in records.items()} == expected
    assert store.unfinished() == 0
    assert int(cluster.ask(fresh, "DBSIZE")) > 0


def test_every_nodes_records_are_listed(cluster: ValkeyCluster, key_prefix):
    store, listing = RedisStore(cluster.url, prefix=key_prefix), RedisListing(cluster.url, prefix=key_prefix)
    live, done = ([secrets.token_hex(20) for _ in range(60)] for _ in range(2))
    store.apply_many([(digest, admit()) for digest in live])
    tokens = [answer.token for answer in store.apply_many([(digest, begin()) for digest in done])]
    store.apply_many([(d, complete(t)) for d, t in zip(done, tokens, strict=True)])

    assert {digest for digest, _ in listing.live()} == {*live}
    assert {*listing.locks()} == {*live}
    assert {*listing.finished()} == {*done}
    assert {found.digest for found in listing.read_many([*live, *done])} == {*live, *done}
    assert all(listing.has_index_entry(live))


def test_a_cluster_that_is_gone_is_told_soon(tmp_path):
    with ValkeyCluster(tmp_path) as cluster:
        url, store = cluster.url, RedisStore(cluster.url)
        store.ping()

    begun = time.monotonic()
    for other in (store, RedisStore(url)):
        with pytest.raises(StoreUnavailableError):
            other.apply("ab" * 20, admit())
        with pytest.raises(StoreUnavailableError):
            other.due(0, 1)
    assert time.monotonic() - begun < PATIENCE_S
