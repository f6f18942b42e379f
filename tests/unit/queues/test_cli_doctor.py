"""The doctor's judgement of facts that no server of the tests can show."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from queues import Once, Tasks
from queues.doctor.application import Application
from queues.doctor.finding import Finding, Severity
from queues.doctor.server_checks import server_findings
from queues.doctor.task_checks import _patched, named, task_findings
from queues.stores.redis_server import ServerFacts

SOUND = {
    "redis_version": "7.2.4",
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "role": "master",
    "connected_slaves": 0,
    "used_memory": 1_000,
    "maxmemory": 0,
}


def severities(findings: Any) -> dict[str, Severity]:
    return {finding.check: finding.severity for finding in findings}


@pytest.mark.parametrize(
    ("info", "check", "severity"),
    [
        ({"redis_version": "4.0.14"}, "records-version", Severity.BROKEN),
        ({"redis_version": "6.0.16"}, "records-version", Severity.WARNING),
        ({"redis_version": "6.2.0"}, "records-version", Severity.GOOD),
        ({"redis_version": "unstable"}, "records-version", Severity.UNSEEN),
        ({"aof_last_write_status": "err"}, "records-persistence", Severity.BROKEN),
        ({"connected_slaves": 2}, "records-replicas", Severity.NOTE),
        ({"used_memory": 95, "maxmemory": 100}, "records-memory", Severity.WARNING),
        ({"evicted_keys": 1}, "records-evicted", Severity.BROKEN),
    ],
)
def test_a_fact_of_the_server_is_judged(info: dict[str, Any], check: str, severity: Severity) -> None:
    facts = ServerFacts({**SOUND, **info}, {"appendfsync": "everysec"})

    assert severities(server_findings(facts, "records"))[check] is severity


@pytest.mark.parametrize(("ahead_ms", "severity"), [(1_999, "good"), (2_000, "warning"), (-60_000, "warning")])
def test_a_clock_that_is_far_off_is_told(ahead_ms: int, severity: str) -> None:
    facts = ServerFacts(SOUND, None, clock_ahead_ms=ahead_ms)

    assert severities(server_findings(facts, "broker"))["broker-clock"] == severity


def test_a_server_that_tells_nothing_breaks_nothing() -> None:
    found = severities(server_findings(ServerFacts(), "records"))

    assert set(found.values()) == {Severity.UNSEEN, Severity.GOOD}


@pytest.mark.parametrize(("slowest_ms", "severity"), [(1.0, "good"), (4_000.0, "warning"), (11_000.0, "broken")])
def test_the_round_trip_is_held_against_the_lease(slowest_ms: float, severity: str) -> None:
    facts = ServerFacts(slowest_ms=slowest_ms)

    assert severities(task_findings(application(Once(lease=30)), [facts]))["lease-latency"] == severity


@pytest.mark.parametrize(
    "modules",
    [
        {"gevent.monkey": SimpleNamespace(is_module_patched=lambda name: name == "threading")},
        {"eventlet.patcher": SimpleNamespace(is_monkey_patched=lambda name: name == "thread")},
    ],
)
def test_replaced_threads_are_broken(modules: dict[str, Any]) -> None:
    assert severities(_patched(modules)) == {"green-threads": Severity.BROKEN}
    assert not [*_patched({})]


def test_only_a_few_names_are_told() -> None:
    assert named(["b", "a"]) == "a, b"
    assert named([str(number) for number in range(9)]) == "0, 1, 2, 3, 4 and 4 more"


def test_what_is_not_good_says_what_it_means_and_what_to_do() -> None:
    bad = {**SOUND, "redis_version": "3", "maxmemory_policy": "allkeys-lru", "aof_enabled": 0, "role": "slave"}
    more = {"cluster_enabled": 1, "evicted_keys": 2, "connected_slaves": 1, "used_memory": 9, "maxmemory": 9}
    facts = ServerFacts({**bad, **more}, {"appendfsync": "no"}, clock_ahead_ms=9_000)

    found: list[Finding] = [f for f in server_findings(facts, "records") if f.severity is not Severity.GOOD]

    assert len(found) >= 8
    assert all(f.mend for f in found)
    assert all(f.means for f in found if f.severity is not Severity.UNSEEN)


@pytest.mark.parametrize(
    "section", ["Running in production", "What is guaranteed", "Settings", "Choosing a broker", "Twenty lines"]
)
def test_the_readme_has_the_sections_that_findings_name(section: str) -> None:
    readme = Path(__file__).parents[3] / "README.md"

    assert f"\n## {section}\n" in readme.read_text("utf-8")


def application(once: Once) -> Application:
    tasks = Tasks(namespace="shop")

    @tasks.task(once=once)
    def charge(order: str) -> None: ...

    return Application("celery", tuple(tasks), None, "redis://127.0.0.1", "")


ONLINE = {"slave0": {"ip": "10.0.0.2", "port": 6379, "state": "online", "lag": 0}}
BEHIND = {"slave0": {"ip": "10.0.0.2", "port": 6379, "state": "online", "lag": 90}}


def test_a_replica_that_is_silent_is_told() -> None:
    facts = ServerFacts({**SOUND, **BEHIND})

    found = [f.severity for f in server_findings(facts, "records") if f.check == "records-replicas"]
    assert Severity.WARNING in found


@pytest.mark.parametrize(
    ("info", "config", "severity"),
    [
        ({}, {}, "broken"),
        (ONLINE, {}, "note"),
        (ONLINE, {"min-replicas-to-write": "1"}, "good"),
        (ONLINE, None, "good"),
    ],
)
def test_the_replicas_that_a_task_waits_for_are_held_against_those_that_there_are(
    info: dict[str, Any], config: dict[str, str] | None, severity: str
) -> None:
    servers = [ServerFacts({**SOUND, **info}, config), ServerFacts({**SOUND, **ONLINE, "slave1": ONLINE["slave0"]}, {})]

    assert severities(task_findings(application(Once(replicas=1)), servers))["task-replicas"] == severity
