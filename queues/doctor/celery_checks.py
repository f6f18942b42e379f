"""Whether a Celery app's settings keep the guarantee."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from queues.doctor.application import Application
from queues.doctor.finding import Finding, Severity, good
from queues.doctor.task_checks import named
from queues.explanation import duration
from queues.idempotency.machine import HOLD_AFTER_MS
from queues.kombu_url import from_kombu
from queues.stores import redis_server
from queues.task import AnyTask

VISIBILITY_TIMEOUT_S = 3_600
"""kombu's own, for a Redis broker."""
RESTORED_WITHIN_MS = 60_000
"""kombu looks for messages to restore every few seconds, and not while it is busy."""
UNSAFE = {"pickle", "application/x-python-serialize", "yaml", "application/x-yaml"}
GREEN_POOLS = {"gevent", "eventlet"}


def celery_findings(application: Application) -> Iterator[Finding]:
    """What there is to say of the app's settings."""
    app = application.native
    url = broker_url(app)
    yield from _acks(application, app)
    yield from _running(app.conf)
    yield from _contents(app.conf)
    yield from _time_limits(application, app)
    yield from _result_expires(application, app.conf)
    if url.startswith(("redis", "sentinel", "unix")):
        yield from _visibility(application, app.conf)
    elif "amqp" in url.partition("://")[0]:
        yield from _rabbitmq(app.conf)


def broker_url(app: Any) -> str:
    """The app's broker; several URLs of one cluster are joined by semicolons."""
    url = app.conf.broker_write_url
    return ";".join(url) if isinstance(url, (list, tuple)) else str(url or "")


def redis_url(app: Any) -> str:
    """The Redis that is the broker, as a URL of this library; empty for another broker."""
    return from_kombu(broker_url(app), app.conf.broker_transport_options or {}) or ""


def redis_facts(app: Any) -> list[redis_server.ServerFacts]:
    """What the Redis that is the broker says of itself; behind sentinels, the master that they name now.

    Raises:
        InvalidOptionError, StoreUnavailableError: it cannot be asked.
    """
    return redis_server.seen(redis_url(app))


def reach(app: Any) -> None:
    """Return when the broker answers; else raise what Celery raises."""
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_max=0.2, timeout=5)


def _acks(application: Application, app: Any) -> Iterator[Finding]:
    for name, means in (
        ("acks_late", "a message is gone when it is delivered: a worker that dies then takes it with it"),
        ("reject_on_worker_lost", "the message of a child that is killed is acked, and not delivered again"),
    ):
        check = name.replace("_", "-")
        off = [task.name for task in application.tasks if not getattr(app.tasks.get(task.name), name, True)]
        if off:
            mend = f"leave {name} to IdempotentTask: remove it from the task's options and from task_annotations"
            yield Finding(check, Severity.BROKEN, f"{name} is off for {named(off)}", means, mend)
        else:
            yield good(check, f"{name} is on for every task")


def _running(conf: Any) -> Iterator[Finding]:
    if conf.task_always_eager:
        means = "tasks run in the process that sends them, each time, and unguarded"
        yield Finding("always-eager", Severity.BROKEN, "task_always_eager is on", means, "turn it off outside tests")
    if conf.worker_pool in GREEN_POOLS:
        means = "a task that never yields keeps its heartbeat from running: it loses its lease while it runs"
        seen, see = f"worker_pool is {conf.worker_pool}", "Choosing a broker"
        yield Finding("green-threads", Severity.BROKEN, seen, means, "use prefork or threads", see)
    if conf.worker_prefetch_multiplier != 1:
        means = "a worker holds messages that it does not run yet: they wait behind a long task while others are idle"
        seen = f"worker_prefetch_multiplier is {conf.worker_prefetch_multiplier}" + (
            ", without limit" if conf.worker_prefetch_multiplier == 0 else ""
        )
        yield Finding("prefetch", Severity.WARNING, seen, means, "set worker_prefetch_multiplier = 1")
    else:
        yield good("prefetch", "worker_prefetch_multiplier is 1")


def _contents(conf: Any) -> Iterator[Finding]:
    accepted = {str(kind) for kind in [*(conf.accept_content or []), *(conf.result_accept_content or [])]}
    unsafe = sorted((accepted | {str(conf.task_serializer), str(conf.result_serializer)}) & UNSAFE)
    if unsafe:
        means = "whoever can write to the broker can run any code in the workers"
        mend = "set accept_content = ['json'], task_serializer = 'json'"
        yield Finding("pickle", Severity.WARNING, f"{', '.join(unsafe)} is accepted", means, mend)
    else:
        yield good("pickle", f"only {', '.join(sorted(accepted)) or 'json'} is accepted")


def _time_limits(application: Application, app: Any) -> Iterator[Finding]:
    def limit(name: str) -> Any:
        return getattr(app.tasks.get(name), "time_limit", None) or app.conf.task_time_limit

    # A task's own `time_limit` stores the outcome before Celery's.
    limited = [task.name for task in application.tasks if limit(task.name) and task.time_limits.hard_s is None]
    if limited:
        means = "the child is killed in the middle, and cannot clean up; its failure is stored"
        mend = "use soft_time_limit, which the task sees as an exception, below it"
        yield Finding("time-limit", Severity.NOTE, f"a hard time_limit is set for {named(limited)}", means, mend)


def _result_expires(application: Application, conf: Any) -> Iterator[Finding]:
    expires = conf.result_expires
    if not conf.result_backend or not expires:
        return
    expires_ms = round((expires.total_seconds() if isinstance(expires, timedelta) else float(expires)) * 1000)
    longer = [task.name for task in application.tasks if task.policy.ttl_ms > expires_ms]
    if longer:
        seen = f"result_expires is {duration(expires_ms)}; the outcome of {named(longer)} is kept for longer"
        means = "a duplicate is given the AsyncResult of the first, which Celery has forgotten: get() waits for ever"
        yield Finding("result-expires", Severity.WARNING, seen, means, "set result_expires to the longest `ttl`")
    else:
        yield good("result-expires", f"result_expires is {duration(expires_ms)}")


def _visibility(application: Application, conf: Any) -> Iterator[Finding]:
    options = conf.broker_transport_options or {}
    timeout_ms = round(float(options.get("visibility_timeout", VISIBILITY_TIMEOUT_S)) * 1000)
    seen = f"the broker's visibility_timeout is {duration(timeout_ms)}"
    mend = "raise broker_transport_options['visibility_timeout'], above every lease, backoff and delay"
    mend_ttl = "lengthen `Once(ttl=...)` a minute above the visibility_timeout, or shorten that"
    leases = [task.name for task in application.tasks if task.policy.lease_ms >= timeout_ms]
    if leases:
        means = "messages are delivered again while their first delivery holds its lease; each copy is deferred"
        yield Finding(
            "visibility-lease", Severity.WARNING, f"{seen}; the lease of {named(leases)} is longer", means, mend
        )
    late = [task.name for task in application.tasks if _longest_delay_ms(task) >= timeout_ms]
    if late:
        means = "a retry that waits in a worker is delivered to others meanwhile, again and again, until it is due"
        yield Finding("visibility-delay", Severity.WARNING, f"{seen}; {named(late)} may wait longer", means, mend)
    short = [task.name for task in application.tasks if task.policy.ttl_ms < timeout_ms]
    if short:
        means = "a worker that dies between the outcome and the ack has its message delivered when the outcome is over"
        text = f"{seen}; the outcome of {named(short)} is kept for less"
        yield Finding("visibility-ttl", Severity.WARNING, text, f"{means}: it runs a second time", mend_ttl)
    close = [task.name for task in application.tasks if 0 <= task.policy.ttl_ms - timeout_ms < RESTORED_WITHIN_MS]
    if close:
        means = "a message may come back moments after the outcome is over, when its worker died before the ack"
        text = f"{seen}; the outcome of {named(close)} is kept hardly longer"
        yield Finding("visibility-ttl", Severity.NOTE, text, f"{means}: it would run a second time", mend_ttl)
    if not (leases or late or short or close):
        yield good("visibility", seen)


def _longest_delay_ms(task: AnyTask) -> int:
    if not task.max_retries:
        return 0
    # What is longer is held by the record, and waits in no worker.
    return min(HOLD_AFTER_MS, max(task.backoff.delay_ms(retries) for retries in {0, task.max_retries - 1}))


def _rabbitmq(conf: Any) -> Iterator[Finding]:
    if (conf.broker_transport_options or {}).get("confirm_publish"):
        yield good("confirm-publish", "confirm_publish is on")
    else:
        means = "a message that RabbitMQ never got counts as sent: it waits an hour for recovery, or is lost"
        mend = "set broker_transport_options = {'confirm_publish': True}"
        yield Finding("confirm-publish", Severity.BROKEN, "confirm_publish is off", means, mend)
    means = (
        "RabbitMQ takes the channel from a worker that acks later than its consumer_timeout, half an hour by default"
    )
    seen = "RabbitMQ's consumer_timeout cannot be seen from here"
    yield Finding("consumer-timeout", Severity.UNSEEN, seen, means, "set it above the longest run of a task")
