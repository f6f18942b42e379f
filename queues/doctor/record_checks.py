"""What the records themselves show: work that does not go on, and workers that do not fit."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice

from queues.doctor.application import Application
from queues.doctor.finding import Finding, Severity, good
from queues.doctor.task_checks import named
from queues.explanation import duration
from queues.idempotency.heartbeat import BEATS_PER_LEASE
from queues.idempotency.recovery import LONGEST_PERIOD_MS
from queues.idempotency.state import State
from queues.idempotency.store import WorkerInfo
from queues.inspection import Inspector, Work, batches, printable
from queues.stores.redis_listing import BATCH

SAMPLE = 10_000
"""At most so many unfinished records, and dead ones, are looked at."""
LATE_MS = 2 * LONGEST_PERIOD_MS
"""Work that is overdue for longer was left by every turn of recovery."""


def record_findings(inspector: Inspector, application: Application | None) -> Iterator[Finding]:
    """What there is to say of the records."""
    works = list(islice(inspector.live(), SAMPLE))
    workers = inspector.workers()
    yield _overdue(works)
    yield from _workers(works, workers)
    yield from _lost(works)
    yield from _unreadable(works)
    yield _index(inspector)
    yield from _dead(inspector)
    if application is not None:
        yield from _backend(application, workers)
        yield from _unknown_tasks(application, works)
        yield from _heartbeats(application, works)


def _overdue(works: list[Work]) -> Finding:
    late = [work for work in works if work.is_overdue and work.now_ms - work.record.help_at_ms > LATE_MS]
    if not late:
        return good("overdue-work", f"none of {len(works)} unfinished is overdue for long")
    oldest_ms = max(work.now_ms - work.record.help_at_ms for work in late)
    names = named(sorted({printable(work.task or "?") for work in late}))
    seen = f"{len(late)} are overdue, the oldest for {duration(oldest_ms)}: {names}"
    means = "their worker, producer or retry failed, and no living worker publishes them again"
    mend = "start workers of the backend that knows these tasks; `queues locks --overdue` lists the work"
    return Finding("overdue-work", Severity.WARNING, seen, means, mend)


def _workers(works: list[Work], workers: list[WorkerInfo]) -> Iterator[Finding]:
    counts = Counter(worker.backend for worker in workers)
    if workers:
        seen = ", ".join(f"{count} of {printable(backend)}" for backend, count in sorted(counts.items()))
        yield good("workers", f"worker processes seen: {seen}")
    elif works:
        means = "nothing runs, and nobody looks after the work of dead workers"
        seen = f"no worker was seen in the last half minute, and {len(works)} tasks are unfinished"
        yield Finding("workers", Severity.WARNING, seen, means, "start a worker", "Twenty lines")
    else:
        means = "what is sent will wait"
        seen = "no worker was seen in the last half minute; there is no unfinished work"
        yield Finding("workers", Severity.NOTE, seen, means, "start a worker", "Twenty lines")


def _lost(works: list[Work]) -> Iterator[Finding]:
    lost: Counter[str] = Counter()
    for work in works:
        if work.record.lost:
            lost[printable(work.task or "?")] += 1
    if lost:
        seen = f"{lost.total()} unfinished were taken over from a worker that died or stood still: {named([*lost])}"
        means = "each of them ran in part, and runs again; after `max_lost` times it is dead"
        mend = "look for workers that are killed (memory, time limits), and for tasks that hold Python's lock for long"
        yield Finding("takeovers", Severity.WARNING, seen, means, mend)


def _unreadable(works: list[Work]) -> Iterator[Finding]:
    bad = [work.digest for work in works if work.problem]
    if bad:
        means = "a newer version of this library wrote it, or another program: workers here leave it alone"
        mend = "bring every process to the same version; `queues explain KEY` tells more"
        yield Finding("unreadable", Severity.WARNING, f"{len(bad)} messages cannot be read: {named(bad)}", means, mend)


def _index(inspector: Inspector) -> Finding:
    missing: list[str] = []
    looked_at = 0
    for batch in batches(islice(inspector.listing.locks(), SAMPLE), BATCH):
        looked_at += len(batch)
        doubtful = [d for d, is_in in zip(batch, inspector.listing.has_index_entry(batch), strict=True) if not is_in]
        # Work that ended between the two looks is no longer unfinished.
        missing += [found.digest for found in inspector.listing.read_many(doubtful) if found.record.state.is_live]
    if not missing:
        return good("lease-index", f"all of {looked_at} unfinished are in the index of leases")
    seen = f"{len(missing)} unfinished are not in the index of leases: {named(missing)}"
    means = "recovery does not see them: if their worker dies they stay until a duplicate is submitted"
    mend = "keys were evicted or deleted by hand; `queues release KEY` puts each back"
    return Finding("lease-index", Severity.BROKEN, seen, means, mend)


def _dead(inspector: Inspector) -> Iterator[Finding]:
    dead = [work.record.owner for work in islice(inspector.outcomes(states={State.DEAD.value}), SAMPLE)]
    if dead:
        means = "each killed its worker `max_lost` times and more, and was given up with a stored failure"
        mend = "`queues results --failed` lists them; look into the workers' logs for what killed them"
        yield Finding("dead-work", Severity.WARNING, f"{len(dead)} tasks are dead: {named(dead)}", means, mend)


def _backend(application: Application, workers: list[WorkerInfo]) -> Iterator[Finding]:
    backends = {worker.backend for worker in workers}
    if backends and application.backend not in backends:
        seen = f"the application sends to {application.backend}; workers seen are of {', '.join(sorted(backends))} only"
        means = "what it sends waits until recovery moves it, an hour later"
        mend = f"start workers of {application.backend}, or set QUEUES_BACKEND"
        yield Finding("worker-backend", Severity.WARNING, seen, means, mend, "Choosing a broker")
    for other in sorted(backends - {application.backend} if application.backend in backends else ()):
        means = "both work, and what is queued on either is done once"
        # `migrate` takes what `connect` returned only.
        way = f"`queues migrate MODULE:QUEUE --from {printable(other)} --to {application.backend} --move`"
        mend = f"to leave it: {way if application.is_queue else 'stop them once they have ended what is queued'}"
        yield Finding("worker-backend", Severity.NOTE, f"workers of {printable(other)} run, too", means, mend)


def _unknown_tasks(application: Application, works: list[Work]) -> Iterator[Finding]:
    known = {task.name for task in application.tasks}
    unknown = Counter(printable(w.task) for w in works if w.task is not None and w.task not in known)
    if unknown:
        seen = f"{unknown.total()} unfinished are of tasks that this application does not know: {named([*unknown])}"
        means = "another application shares the prefix, or a task was renamed: this one's workers cannot do them"
        mend = "give each application its own QUEUES_PREFIX; keep a renamed task under its old name for a while"
        yield Finding("unknown-tasks", Severity.WARNING, seen, means, mend, "Settings")


def _heartbeats(application: Application, works: list[Work]) -> Iterator[Finding]:
    leases_ms = {task.name: task.policy.lease_ms for task in application.tasks}
    late: defaultdict[str, int] = defaultdict(int)
    for work in works:
        lease_ms = leases_ms.get(work.task or "")
        left_ms = work.record.until_ms - work.now_ms
        # Renewed every third of a lease: less than a third is left only when two beats did not come.
        if lease_ms is not None and work.has_live_lease and left_ms < lease_ms / BEATS_PER_LEASE:
            late[printable(work.task or "")] = max(late[printable(work.task or "")], lease_ms - left_ms)
    for name, silent_ms in sorted(late.items()):
        seen = f"a run of {name} was not renewed for {duration(silent_ms)}; its lease is {duration(leases_ms[name])}"
        means = "its worker died, is stopped, or holds Python's lock for long: it may lose the lease while it runs"
        mend = "lengthen `Once(lease=...)` beyond the longest time for which the task holds the lock"
        yield Finding("late-heartbeat", Severity.WARNING, seen, means, mend)
