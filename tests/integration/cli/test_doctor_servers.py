"""`queues doctor` on the Redis of the records: each finding provoked on a real server of the test's own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from queues.stores.redis import RedisStore
from tests.cluster import ValkeyCluster
from tests.integration.cli.conftest import LEASE_MS, Run, Shop
from tests.servers import ValkeyServer
from tests.stage import eventually

SOUND = """\
Records in redis://127.0.0.1:<port>/0

good  records-version: <version>
good  records-eviction: maxmemory-policy is noeviction
good  records-persistence: appendonly is yes, appendfsync everysec; about a second is lost when the machine dies
good  records-role: it is no replica
good  records-memory: there is no maxmemory
good  records-clock: <clock>
good  overdue-work: none of 0 unfinished is overdue for long
good  workers: worker processes seen: 1 of celery
good  lease-index: all of 0 unfinished are in the index of leases

9 good
"""
Examine = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path_factory.mktemp("doctor")) as server:
        yield server


@pytest.fixture
def server(own_server: ValkeyServer) -> Iterator[redis.Redis]:
    """A client of a server that only this module has, with its settings put back afterwards."""
    with redis.Redis.from_url(own_server.url) as client:
        names = ("maxmemory", "maxmemory-policy", "appendonly", "appendfsync", "save")
        before = {name: client.config_get(name)[name] for name in names}
        yield client
        for name, value in before.items():
            client.config_set(name, value)
        client.replicaof("NO", "ONE")
        client.config_resetstat()
        store = RedisStore(client=client)
        client.delete(store.keys.workers())


@pytest.fixture
def examine(own_server: ValkeyServer, queues: Run) -> Examine:
    """The severity of each finding, by its check's name."""

    def run(*argv: str, url: str = own_server.url) -> dict[str, str]:
        ended = queues("doctor", "--json", "--redis-url", url, "--prefix", "", *argv)
        found = {finding["check"]: finding["severity"] for finding in ended.document["findings"]}
        assert ended.code == ended.document["exit_status"]
        worst = set(found.values())
        assert ended.code == (2 if "broken" in worst else 1 if "warning" in worst else 0)
        return found

    return run


def test_a_sound_server_with_a_worker_is_told_as_this_text(
    server: redis.Redis, own_server: ValkeyServer, queues: Run
) -> None:
    RedisStore(client=server).announce("celery@host:1")

    ended = queues("doctor", "--redis-url", own_server.url, "--prefix", "")

    text = ended.golden.replace(str(own_server.port), "<port>")
    lines = [
        "good  records-version: <version>"
        if "records-version" in line
        else "good  records-clock: <clock>"
        if "records-clock" in line
        else line
        for line in text.splitlines()
    ]
    assert "\n".join(lines) + "\n" == SOUND
    assert ended.code == 0


def test_a_finding_says_what_it_means_and_how_to_mend_it(
    server: redis.Redis, own_server: ValkeyServer, queues: Run
) -> None:
    server.config_set("appendonly", "no")

    ended = queues("doctor", "--redis-url", own_server.url, "--prefix", "")

    lines = ended.out.splitlines()
    at = lines.index("BROKEN   records-persistence: appendonly is no")
    assert [line.split()[0] for line in lines[at + 1 : at + 4]] == ["means", "mend", "see"]
    assert "'Running in production'" in lines[at + 3]
    assert ended.code == 2


@pytest.mark.parametrize(
    ("settings", "check", "severity"),
    [
        ({"maxmemory-policy": "allkeys-lru"}, "records-eviction", "warning"),
        ({"maxmemory-policy": "allkeys-lru", "maxmemory": "100mb"}, "records-eviction", "broken"),
        ({"maxmemory-policy": "volatile-ttl", "maxmemory": "100mb"}, "records-eviction", "broken"),
        ({"appendonly": "no"}, "records-persistence", "broken"),
        ({"appendfsync": "no"}, "records-persistence", "broken"),
        ({"appendfsync": "always"}, "records-persistence", "good"),
        ({"maxmemory": "500kb"}, "records-memory", "warning"),
        ({"maxmemory": "900mb"}, "records-memory", "good"),
    ],
)
def test_a_setting_of_the_server_is_judged(
    server: redis.Redis, examine: Examine, settings: dict[str, str], check: str, severity: str
) -> None:
    for name, value in settings.items():
        server.config_set(name, value)

    assert examine()[check] == severity


def test_keys_that_were_evicted_are_told(server: redis.Redis, examine: Examine) -> None:
    server.config_set("maxmemory-policy", "allkeys-random")
    server.config_set("maxmemory", str(server.info("memory")["used_memory"] + 200_000))
    for number in range(400):
        server.set(f"filler:{number}", b"x" * 2_000)

    found = examine()

    server.config_set("maxmemory", "0")
    for filler in server.scan_iter("filler:*"):  # there may be none left
        server.delete(filler)
    assert found["records-evicted"] == "broken"


def test_a_replica_is_broken(server: redis.Redis, examine: Examine) -> None:
    server.replicaof("127.0.0.1", "1")

    assert examine()["records-role"] == "broken"


def test_a_cluster_node_is_broken(tmp_path: Path, examine: Examine) -> None:
    with ValkeyServer(tmp_path, options=("--cluster-enabled", "yes")) as node:
        with redis.Redis.from_url(node.url) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            eventually(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))

        assert examine(url=node.url)["records-cluster"] == "broken"


def test_each_master_of_a_cluster_is_examined(cluster: ValkeyCluster, queues: Run) -> None:
    ended = queues("doctor", "--json", "--redis-url", cluster.url, "--prefix", "")

    seen = [finding["seen"] for finding in ended.document["findings"] if finding["check"] == "records-cluster"]
    ports = [f"127.0.0.1:{node.port}" for node in cluster.masters]
    assert sorted(seen) == sorted(f"{port}: cluster_state is ok" for port in ports)


def test_a_server_that_waits_for_replicas_that_are_not_there_is_broken(server: redis.Redis, examine: Examine) -> None:
    server.config_set("min-replicas-to-write", "1")
    found = examine()
    server.config_set("min-replicas-to-write", "0")

    assert found["records-replicas"] == "broken"


def test_what_a_managed_server_hides_cannot_be_seen_and_is_no_failure(
    server: redis.Redis, own_server: ValkeyServer, examine: Examine
) -> None:
    RedisStore(client=server).announce("celery@host:1")
    server.acl_setuser("managed", enabled=True, passwords=["+hunter2"], keys=["*"], commands=["+@all", "-config"])
    server.acl_setuser("mute", enabled=True, passwords=["+hunter2"], keys=["*"], commands=["+@all", "-config", "-info"])

    managed = examine(url=own_server.url.replace("://", "://managed:hunter2@"))
    mute = examine(url=own_server.url.replace("://", "://mute:hunter2@"))

    server.acl_deluser("managed", "mute")
    assert {check for check, severity in managed.items() if severity == "unseen"} == {"records-persistence"}
    assert managed["records-eviction"] == "good"
    assert mute["records-eviction"] == mute["records-version"] == mute["records-role"] == "unseen"


def test_no_worker_is_a_note_and_with_work_a_warning(shop: Shop, queues: Run) -> None:
    before = _severities(queues("doctor", "--json"))
    shop.charge.send("o-1")
    after = _severities(queues("doctor", "--json"))

    assert (before["workers"], after["workers"]) == ("note", "warning")


def test_work_that_is_overdue_for_long_is_told(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")
    minute_ago_ms = shop.store.read(handle.key).created_ms - 60_000
    shop.store._client.zadd(shop.store.keys.of(handle.key)[2], {handle.key: minute_ago_ms})

    assert _severities(queues("doctor", "--json"))["overdue-work"] == "warning"


def test_work_that_recovery_cannot_see_is_broken_and_mended_by_release(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")
    shop.store._client.delete(shop.store.keys.of(handle.key)[2])

    before = _severities(queues("doctor", "--json"))
    queues("release", handle.key, "--yes")
    after = _severities(queues("doctor", "--json"))

    assert (before["lease-index"], after["lease-index"]) == ("broken", "good")


def test_takeovers_and_dead_work_are_told(shop: Shop, queues: Run) -> None:
    alive, dead = shop.charge.send("o-1"), shop.charge.send("o-2")
    shop.begin(alive, lease_ms=100)
    shop.begin(dead, lease_ms=100, max_lost=0)
    eventually(lambda: shop.begin(alive, lease_ms=LEASE_MS).kind == "run")
    eventually(lambda: shop.begin(dead, max_lost=0).kind == "dead")

    found = _severities(queues("doctor", "--json"))

    assert (found["takeovers"], found["dead-work"]) == ("warning", "warning")


def _severities(ended: object) -> dict[str, str]:
    return {finding["check"]: finding["severity"] for finding in ended.document["findings"]}
