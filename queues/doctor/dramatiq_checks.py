"""Whether a Dramatiq broker's settings and middleware keep the guarantee."""

import math
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from queues.doctor.application import Application
from queues.doctor.finding import Finding, Severity, good
from queues.doctor.task_checks import named
from queues.explanation import duration
from queues.stores.redis_server import ServerFacts, seen_by


def dramatiq_findings(application: Application) -> Iterator[Finding]:
    """What there is to say of the broker."""
    broker = application.native
    if hasattr(broker, "heartbeat_timeout"):
        yield from _redis(application, broker)
    if hasattr(broker, "confirm_delivery"):
        yield from _rabbitmq(broker)
    yield from _actors(application, broker)


def broker_url(broker: Any) -> str:
    """A URL of the Redis that the broker's client talks to; empty for another broker."""
    client = getattr(broker, "client", None)
    if client is None:
        return ""
    pool = client.connection_pool
    options = pool.connection_kwargs
    user, password = (quote(str(options.get(name) or ""), safe="") for name in ("username", "password"))
    login = f"{user}:{password}@" if password else ""
    scheme = "rediss" if "SSL" in pool.connection_class.__name__ else "redis"
    if hasattr(pool, "sentinel_manager"):
        sentinels = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
        hosts = ",".join(f"{at['host']}:{at['port']}" for at in sentinels)
        return f"{scheme}+sentinel://{login}{hosts}/{quote(pool.service_name, safe='')}/{options.get('db') or 0}"
    if options.get("path"):
        return f"unix://{login}{options['path']}?db={options.get('db') or 0}"
    host, port = options.get("host", "127.0.0.1"), options.get("port", 6379)
    return f"{scheme}://{login}{host}:{port}/{options.get('db') or 0}"


def redis_url(broker: Any) -> str:
    """As `broker_url`, which is empty for a broker that is no Redis."""
    return broker_url(broker)


def redis_facts(broker: Any) -> list[ServerFacts]:
    """What the Redis that is the broker says of itself, to the broker's own client: it knows the master, and the TLS.

    Raises:
        StoreUnavailableError: it cannot be asked.
    """
    return seen_by(broker.client)


def reach(broker: Any) -> None:
    """Return when the broker answers; else raise what its client raises."""
    if hasattr(broker, "client"):
        broker.client.ping()
    elif hasattr(broker, "parameters"):
        _ = broker.connection
        broker.close()


def _redis(application: Application, broker: Any) -> Iterator[Finding]:
    timeout_ms = int(broker.heartbeat_timeout)
    seen = f"the broker's heartbeat_timeout is {duration(timeout_ms)}"
    longer = [task.name for task in application.tasks if task.policy.lease_ms > timeout_ms]
    if longer:
        means = "the messages of a worker that stands still are delivered again while its leases live; each is deferred"
        mend = "RedisBroker(heartbeat_timeout=...) above every lease"
        yield Finding("heartbeat-timeout", Severity.WARNING, f"{seen}; {named(longer)} have longer leases", means, mend)
    else:
        yield good("heartbeat-timeout", seen)
    short = [task.name for task in application.tasks if task.policy.ttl_ms < timeout_ms]
    if short:
        means = "a worker that dies between the outcome and the ack has its message delivered when the outcome is over"
        mend = "lengthen `Once(ttl=...)` above the heartbeat_timeout, or shorten that"
        text = f"{seen}; the outcome of {named(short)} is kept for less"
        yield Finding("heartbeat-ttl", Severity.WARNING, text, f"{means}: it runs a second time", mend)
    if not broker.maintenance_chance:
        means = "what a dead worker had fetched and not begun stays there until recovery sends it, an hour later"
        mend = "leave maintenance_chance at its default"
        yield Finding("maintenance", Severity.WARNING, "the broker's maintenance_chance is 0", means, mend)


def _rabbitmq(broker: Any) -> Iterator[Finding]:
    if broker.confirm_delivery:
        yield good("confirm-publish", "confirm_delivery is on")
    else:
        means = "a message that RabbitMQ never got counts as sent: it waits an hour for recovery, or is lost"
        mend = "RabbitmqBroker(confirm_delivery=True)"
        yield Finding("confirm-publish", Severity.BROKEN, "confirm_delivery is off", means, mend)


def _actors(application: Application, broker: Any) -> Iterator[Finding]:
    options = {task.name: broker.actors[task.name].options for task in application.tasks if task.name in broker.actors}
    own = {task.name for task in application.tasks if not task.is_foreign}
    twice = [name for name, chosen in options.items() if name in own and chosen.get("max_retries", 0)]
    if twice:
        means = "Dramatiq retries what this library has already given up: the stored failure answers each of them"
        yield Finding("max-retries", Severity.WARNING, f"max_retries of {named(twice)}", means, "remove the option")
    yield from _time_limits(application, broker, options)
    yield from _age_limits(broker, options)


def _time_limits(application: Application, broker: Any, options: dict[str, Any]) -> Iterator[Finding]:
    default_ms = _middleware_value(broker, "TimeLimit", "time_limit", math.inf)
    limits_ms = {name: chosen.get("time_limit") or default_ms for name, chosen in options.items()}
    leases_ms = {task.name: task.policy.lease_ms for task in application.tasks}
    short = [name for name, limit_ms in limits_ms.items() if limit_ms < leases_ms[name]]
    if short:
        means = "these tasks are ended before even one lease is over"
        mend = "raise their time_limit, in ms, or shorten `Once(lease=...)`"
        yield Finding("time-limit", Severity.WARNING, f"time_limit below the lease: {named(short)}", means, mend)


def _age_limits(broker: Any, options: dict[str, Any]) -> Iterator[Finding]:
    default_ms = _middleware_value(broker, "AgeLimit", "max_age", None)
    dropped = [name for name, chosen in options.items() if chosen.get("max_age", default_ms)]
    if dropped:
        means = "a message that waited for longer is dropped without an outcome: accepted work is lost"
        mend = "remove max_age; a task may look at its own arguments and return early"
        yield Finding("age-limit", Severity.BROKEN, f"max_age is set for {named(dropped)}", means, mend)


def _middleware_value(broker: Any, kind: str, name: str, default: Any) -> Any:
    found = [m for m in broker.middleware if type(m).__name__ == kind]
    return getattr(found[0], name) if found else default
