"""Whether a Redis keeps what it was told, and answers in time."""

import re
from collections.abc import Iterator

from queues.doctor.finding import Finding, Severity, good, unseen
from queues.explanation import duration
from queues.stores.redis_server import ServerFacts

OLDEST = (5, 0)
"""Before, a script that reads the clock may write nothing."""
OLD = (6, 2)
CLOCK_WARNING_MS = 2_000
FULL = 0.9


LATE_REPLICA_S = 10
"""A replica says every second how far it is."""


def server_findings(facts: ServerFacts, place: str, *, is_cluster: bool = False) -> Iterator[Finding]:
    """What there is to say of one server.

    Args:
        place: what it holds, `records` or `broker`; the checks' names begin with it.
        is_cluster: whether it was reached by the URL of a cluster.
    """
    yield _version(facts, f"{place}-version")
    yield _eviction(facts, f"{place}-eviction")
    yield from _evicted(facts, f"{place}-evicted")
    yield from _persistence(facts, place)
    yield _role(facts, f"{place}-role")
    yield from _replicas(facts, f"{place}-replicas")
    yield from _cluster(facts, f"{place}-cluster", is_cluster=is_cluster)
    yield from _memory(facts, f"{place}-memory")
    yield _clock(facts, f"{place}-clock")


def _version(facts: ServerFacts, check: str) -> Finding:
    text = facts.text("redis_version")
    found = re.match(r"(\d+)\.(\d+)", text or "")
    if found is None:
        return unseen(check, "the version")
    version = int(found[1]), int(found[2])
    own = facts.text("valkey_version")
    name = f"Valkey {own}, as Redis {text}" if own else f"Redis {text}"
    mend = "move to Valkey, or to Redis 6.2 or newer"
    if version < OLDEST:
        means = "its scripts may not write after they read the clock: no task is accepted"
        return Finding(check, Severity.BROKEN, name, means, mend)
    if version < OLD:
        means = "it is out of support, and this library is not tested with it"
        return Finding(check, Severity.WARNING, name, means, mend)
    return good(check, name)


def _eviction(facts: ServerFacts, check: str) -> Finding:
    policy = facts.text("maxmemory_policy") or facts.setting("maxmemory-policy")
    if policy is None:
        return unseen(check, "maxmemory-policy")
    if policy == "noeviction":
        return good(check, "maxmemory-policy is noeviction")
    mend = "set maxmemory-policy noeviction; keep caches in another Redis"
    limit = facts.number("maxmemory")
    if limit == 0:
        means = "harmless as long as there is no maxmemory; with one, Redis would forget who runs what"
        return Finding(check, Severity.WARNING, f"maxmemory-policy is {policy}, without a limit", means, mend)
    means = "when memory is short Redis drops leases, outcomes and queues: work is lost, and runs twice"
    return Finding(check, Severity.BROKEN, f"maxmemory-policy is {policy}", means, mend)


def _evicted(facts: ServerFacts, check: str) -> Iterator[Finding]:
    count = facts.number("evicted_keys")
    if count:
        means = "some of them may have been leases, outcomes or queues: what they said is lost"
        mend = "set maxmemory-policy noeviction, and look for work that is missing; a restart sets the count to 0"
        yield Finding(check, Severity.BROKEN, f"{count} keys were evicted since the server started", means, mend)


def _persistence(facts: ServerFacts, place: str) -> Iterator[Finding]:
    check, is_on = f"{place}-persistence", facts.number("aof_enabled")
    if is_on is None:
        yield unseen(check, "appendonly")
        return
    if not is_on:
        snapshots = facts.setting("save")
        kept = "only what its last snapshot holds" if snapshots else "nothing, unless there is a snapshot"
        means = f"a restart of the server keeps {kept}: accepted work is lost, and finished work runs again"
        yield Finding(check, Severity.BROKEN, "appendonly is no", means, "set appendonly yes, appendfsync everysec")
        return
    if facts.text("aof_last_write_status") == "err":
        means = "what is accepted now is lost at the next restart; Redis refuses writes until it can write its file"
        yield Finding(check, Severity.BROKEN, "the last write to the append-only file failed", means, "free its disk")
        return
    yield _fsync(facts, check)


def _fsync(facts: ServerFacts, check: str) -> Finding:
    fsync = facts.setting("appendfsync")
    if fsync is None:
        return unseen(check, "appendonly is yes; appendfsync")
    if fsync == "no":
        means = "when the machine dies, up to half a minute of accepted work is lost, and finished work runs again"
        return Finding(check, Severity.BROKEN, "appendfsync is no", means, "set appendfsync everysec, or always")
    lost = "; about a second is lost when the machine dies" if fsync == "everysec" else ""
    return good(check, f"appendonly is yes, appendfsync {fsync}{lost}")


def _role(facts: ServerFacts, check: str) -> Finding:
    role = facts.text("role")
    if role is None:
        return unseen(check, "whether it is a replica")
    if role == "master":
        return good(check, "it is no replica")
    means = "it refuses writes: no task is accepted, begun or completed"
    return Finding(check, Severity.BROKEN, "it is a replica, and read-only", means, "name the primary in the URL")


def _replicas(facts: ServerFacts, check: str) -> Iterator[Finding]:
    count, online = facts.number("connected_slaves"), [r for r in facts.replicas if r.is_online]
    least = int(facts.setting("min-replicas-to-write") or 0)
    if least > len(online):
        seen = f"min-replicas-to-write is {least}, and {len(online)} replicas follow it"
        means = "it refuses every write: no task is accepted, begun or completed"
        yield Finding(check, Severity.BROKEN, seen, means, "start its replicas, or lower min-replicas-to-write")
    late = [r for r in facts.replicas if r.is_online and r.lag_s > LATE_REPLICA_S]
    if late:
        seen = f"the replica {late[0].address} said nothing for {late[0].lag_s} s"
        means = "a failover to it would forget what it has not got"
        yield Finding(check, Severity.WARNING, seen, means, "look at the replica and its network")
    if count:
        means = "a failover forgets what the replica had not got yet; only `Once(replicas=N)` waits for replicas"
        mend = "declare `replicas` where that matters; fail over by hand where you can"
        yield Finding(check, Severity.NOTE, f"{count} replicas follow it", means, mend, "What is guaranteed")


def _cluster(facts: ServerFacts, check: str, *, is_cluster: bool) -> Iterator[Finding]:
    if not facts.number("cluster_enabled"):
        return
    if not is_cluster:
        means = "a key of another node is refused: most tasks are not accepted, and recovery sees no overdue work"
        mend = "write redis+cluster:// in place of redis:// in the URL"
        yield Finding(check, Severity.BROKEN, "it is a node of a cluster, and the URL names one server", means, mend)
    elif facts.cluster_state not in (None, "ok"):
        means = "keys are refused: tasks are not accepted, begun or completed"
        mend = "look at CLUSTER NODES: a master without a replica is away, or slots belong to nobody"
        yield Finding(check, Severity.BROKEN, f"cluster_state is {facts.cluster_state}", means, mend)
    else:
        yield good(check, "cluster_state is ok")


def _memory(facts: ServerFacts, check: str) -> Iterator[Finding]:
    used, limit = facts.number("used_memory"), facts.number("maxmemory")
    if used is None or limit is None:
        yield unseen(check, "its memory")
    elif limit and used / limit >= FULL:
        seen = f"{used / limit:.0%} of maxmemory is used ({used // 1024} of {limit // 1024} KiB)"
        means = "a full server refuses writes: nothing is accepted, begun or completed until there is room"
        yield Finding(check, Severity.WARNING, seen, means, "raise maxmemory, or shorten the `ttl` of large results")
    else:
        yield good(check, f"{used / limit:.0%} of maxmemory is used" if limit else "there is no maxmemory")


def _clock(facts: ServerFacts, check: str) -> Finding:
    away_ms = facts.clock_ahead_ms
    which = "ahead of" if away_ms > 0 else "behind"
    seen = f"its clock is {duration(abs(away_ms))} {which} this machine's"
    if abs(away_ms) < CLOCK_WARNING_MS:
        return good(check, seen)
    means = (
        "leases go by the server's clock alone, and hold; but delays and times that this machine tells are wrong by "
        "as much"
    )
    return Finding(check, Severity.WARNING, seen, means, "keep both clocks with NTP")
