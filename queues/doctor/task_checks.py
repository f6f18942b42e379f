"""Whether what the tasks promise fits the server, whatever the backend."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from queues.doctor.application import Application
from queues.doctor.finding import Finding, Severity, good
from queues.explanation import duration
from queues.idempotency.heartbeat import BEATS_PER_LEASE
from queues.stores.redis_server import ServerFacts

MANY_NAMES = 5


def task_findings(application: Application, servers: Sequence[ServerFacts]) -> Iterator[Finding]:
    """What there is to say of the tasks, and of what they ask of the servers that hold their records."""
    slowest = max(servers, key=lambda facts: facts.slowest_ms)
    yield from _latency(application, slowest)
    yield from _replicas(application, servers)
    yield from _patched(sys.modules)
    yield from _declared(application)


def named(names: list[str]) -> str:
    """At most `MANY_NAMES` names, sorted."""
    shown = ", ".join(sorted(names)[:MANY_NAMES])
    return f"{shown} and {len(names) - MANY_NAMES} more" if len(names) > MANY_NAMES else shown


def _latency(application: Application, facts: ServerFacts) -> Iterator[Finding]:
    lease_ms = application.shortest_lease_ms
    if lease_ms is None:
        return
    seen = (
        f"the slowest of a few round trips took {facts.slowest_ms:.1f} ms; the shortest lease is {duration(lease_ms)}"
    )
    means = "renewals come late: living workers lose their leases, and their work runs again elsewhere"
    mend = "put workers near Redis, or lengthen `Once(lease=...)`"
    if facts.slowest_ms > lease_ms / BEATS_PER_LEASE:
        yield Finding("lease-latency", Severity.BROKEN, seen, means, mend)
    elif facts.slowest_ms > lease_ms / (BEATS_PER_LEASE * BEATS_PER_LEASE):
        yield Finding("lease-latency", Severity.WARNING, seen, means, mend)
    else:
        yield good("lease-latency", seen)


def _replicas(application: Application, servers: Sequence[ServerFacts]) -> Iterator[Finding]:
    wanted = max((task.policy.replicas for task in application.tasks), default=0)
    if not wanted:
        return
    fewest = min(servers, key=lambda facts: sum(replica.is_online for replica in facts.replicas))
    online = sum(replica.is_online for replica in fewest.replicas)
    least = int(fewest.setting("min-replicas-to-write") or 0)
    names = named([task.name for task in application.tasks if task.policy.replicas == wanted])
    seen = f"{names} wants {wanted} replicas, and {fewest.address or 'the server'} has {online}"
    if online < wanted:
        means = (
            "its submissions raise NotReplicatedError, and its workers hold what they have done until there are more"
        )
        yield Finding("task-replicas", Severity.BROKEN, seen, means, "add replicas, or lower `Once(replicas=...)`")
    elif fewest.config is not None and least < wanted:
        means = "a master that is cut off from its replicas goes on taking work that a failover forgets"
        mend = f"set min-replicas-to-write {wanted}, so that it refuses; the submission then fails at once"
        yield Finding("task-replicas", Severity.NOTE, f"{seen}; min-replicas-to-write is {least}", means, mend)
    else:
        yield good("task-replicas", seen)


def _patched(modules: dict[str, Any]) -> Iterator[Finding]:
    gevent, eventlet = modules.get("gevent.monkey"), modules.get("eventlet.patcher")
    is_patched = (gevent is not None and gevent.is_module_patched("threading")) or (
        eventlet is not None and eventlet.is_monkey_patched("thread")
    )
    if is_patched:
        means = "a task that never yields keeps its heartbeat from running: it loses its lease while it runs"
        mend = "use processes or threads"
        seen = "gevent or eventlet has replaced Python's threads"
        yield Finding("green-threads", Severity.BROKEN, seen, means, mend, "Choosing a broker")


def _declared(application: Application) -> Iterator[Finding]:
    if not application.tasks:
        yield Finding("no-tasks", Severity.WARNING, "no task is registered", "nothing can run", "import their modules")
    kinds = (
        ("fail-open", "fail_open", "they run unguarded while Redis is away, and may run twice then"),
        ("lossy", "lossy", "a duplicate that finds them running is answered and dropped: work of a dead worker waits"),
    )
    for check, attribute, means in kinds:
        names = [task.name for task in application.tasks if getattr(task.policy, attribute)]
        if names:
            mend = f"leave `{attribute}` out where that is not meant"
            yield Finding(check, Severity.NOTE, f"{attribute} is declared by {named(names)}", means, mend, "Settings")
    every = [task.name for task in application.tasks if task.once is None]
    if every:
        means = "each message of them is work of its own: a submission that is repeated runs again"
        mend = "declare `once=Once()` where that is not meant"
        yield Finding("every-message", Severity.NOTE, f"once is None for {named(every)}", means, mend, "Settings")
    alike = [task.name for task in application.tasks if task.once is not None and not task.signature.parameters]
    if alike:
        means = "all their submissions are the same work: within `ttl`, only the first one runs"
        mend = "give a key with `send_with_options(key=...)`, or a parameter, where that is not meant"
        yield Finding("same-key", Severity.NOTE, f"no parameters: {named(alike)}", means, mend, "Settings")
