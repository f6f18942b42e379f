"""All checks, in order: the servers, the records, the tasks, the task system."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from queues.doctor import celery_checks, dramatiq_checks
from queues.doctor.application import Application
from queues.doctor.finding import Finding, Severity, good
from queues.doctor.record_checks import record_findings
from queues.doctor.server_checks import server_findings
from queues.doctor.task_checks import task_findings
from queues.errors import InvalidOptionError, StoreUnavailableError
from queues.inspection import Inspector
from queues.redaction import redacted, without_password
from queues.redis_url import Topology, is_redis_url, is_same_redis, read
from queues.stores.redis_server import ServerFacts, seen

ORDER = tuple(Severity)


def examined(redis_url: str, inspector: Inspector, application: Application | None) -> list[Finding]:
    """Every finding, the worst first.

    Raises:
        StoreUnavailableError: the Redis of the records does not answer.
    """
    servers = seen(redis_url)
    findings = [*_of_servers(servers, "records", redis_url), *record_findings(inspector, application)]
    if application is not None:
        findings += task_findings(application, servers)
        findings += _backend_findings(application, redis_url)
    return sorted(findings, key=lambda finding: ORDER.index(finding.severity))


def _of_servers(servers: Sequence[ServerFacts], place: str, url: str) -> Iterator[Finding]:
    is_cluster = read(url).topology is Topology.CLUSTER
    for facts in servers:
        for finding in server_findings(facts, place, is_cluster=is_cluster):
            yield replace(finding, seen=f"{facts.address}: {finding.seen}") if len(servers) > 1 else finding


def in_memory() -> list[Finding]:
    """What there is to say of an application whose records are in its own process."""
    means = "records, queues and outcomes end with the process, and no other process sees them"
    mend = "set QUEUES_BACKEND to celery or dramatiq"
    return [Finding("memory", Severity.BROKEN, "the backend is memory", means, mend, "Choosing a broker")]


def _backend_findings(application: Application, redis_url: str) -> Iterator[Finding]:
    is_celery = application.backend == "celery"
    module = celery_checks if is_celery else dramatiq_checks
    url = module.broker_url(application.native)
    reached = _reached(application, url)
    yield reached
    if reached.severity is Severity.GOOD:
        yield from _broker_server(application, module.redis_url(application.native), redis_url)
    if is_celery:
        yield from celery_checks.celery_findings(application)
    else:
        yield from dramatiq_checks.dramatiq_findings(application)


def _reached(application: Application, url: str) -> Finding:
    place = without_password(url) if url else "the broker"
    reach = celery_checks.reach if application.backend == "celery" else dramatiq_checks.reach
    try:
        reach(application.native)
    except Exception as exc:  # noqa: BLE001 - each broker's client has errors of its own; all are told alike
        text = " ".join(redacted(f"{type(exc).__name__}: {exc}", [url]).split())[:300]
        means = "nothing is delivered; what is submitted waits for recovery"
        return Finding(
            "broker", Severity.BROKEN, f"{place} does not answer: {text}", means, "start it, or mend its URL"
        )
    return good("broker", f"{place} answers")


def _broker_server(application: Application, url: str, redis_url: str) -> Iterator[Finding]:
    if not is_redis_url(url) or is_same_redis(url, redis_url):
        return
    facts = celery_checks.redis_facts if application.backend == "celery" else dramatiq_checks.redis_facts
    try:
        servers = facts(application.native)
    except (InvalidOptionError, StoreUnavailableError) as exc:
        yield Finding(
            "broker-server", Severity.UNSEEN, f"the broker's Redis cannot be asked: {redacted(str(exc), [url])}"
        )
        return
    yield from _of_servers(servers, "broker", url)
