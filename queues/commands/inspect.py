"""`queues inspect`: what the workers do now, and, of an application, what waits on its queues and by its schedules."""

import argparse
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from queues.client import Queue
from queues.commands.session import Exit, Session
from queues.commands.sides import queued_of, records_of
from queues.doctor.application import queue_of
from queues.explanation import duration
from queues.idempotency.state import State
from queues.idempotency.worker import worker_of
from queues.inspection import Inspector, Work, printable, progress
from queues.schedule import Schedule

UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1)))
UNKNOWN_WORKER = "?"


def inspect(arguments: argparse.Namespace, session: Session) -> int:
    """Look at the workers; with MODULE:QUEUE also at the broker and the schedules."""
    queue = queue_of(arguments.application) if arguments.application else None
    there = session if queue is None else records_of(queue, session.terminal)
    with there.inspector() as inspector:
        now_ms = inspector.listing.now_ms()
        running = _running(inspector)
        document: dict[str, Any] = {"now_ms": now_ms, "workers": _workers(inspector, running)}
        document["held"] = inspector.held()
        document["dead_letters"] = inspector.letters.totals().kept
        if queue is not None:
            document["backend"] = queue.backend.name
            document |= _depths(queue)
            document["schedules"] = _schedules(queue)
    if session.terminal.is_json:
        session.terminal.document(document)
    else:
        _print(session, document, running, now_ms)
    return Exit.DONE


def _running(inspector: Inspector) -> dict[str, list[Work]]:
    running: defaultdict[str, list[Work]] = defaultdict(list)
    for work in inspector.live(states={State.RUNNING.value}):
        running[worker_of(work.record.execution) or UNKNOWN_WORKER].append(work)
    return dict(sorted(running.items()))


def _workers(inspector: Inspector, running: dict[str, list[Work]]) -> list[dict[str, Any]]:
    # A child of Celery's worker runs under its own process id; its parent is the one that was seen.
    seen = {worker.name: worker.seen_ms for worker in inspector.workers()}
    return [
        {
            "name": name,
            "seen_ms": seen.get(name),
            "running": [work.as_json(has_args=False) for work in running.get(name, [])],
        }
        for name in sorted(seen.keys() | running.keys())
    ]


def _depths(queue: Queue) -> dict[str, Any]:
    queued = queued_of(queue)
    try:
        depths: dict[str, dict[str, Any]] = {}
        for lane in queued.lanes:
            depth = depths.setdefault(lane.queue, {"queue": lane.queue, "waiting": 0, "delayed": 0})
            depth["delayed" if lane.is_delayed else "waiting"] += queued.depth_messages(lane)
        return {"queues": list(depths.values()), "held_by_workers": queued.held_messages()}
    finally:
        queued.close()


def _schedules(queue: Queue) -> list[dict[str, Any]]:
    last_ms, now_ms = queue.store.ticks()
    return [
        {
            "name": schedule.name,
            "task": schedule.task,
            "when": _when(schedule),
            "timezone": schedule.timezone,
            "catch_up": schedule.catch_up,
            **_last(schedule, last_ms.get(schedule.name)),
            "next_ms": schedule.next_ms(now_ms),
        }
        for schedule in queue.tasks.schedules
    ]


def _last(schedule: Schedule, ticked_ms: int | None) -> dict[str, int | None]:
    # Before its first moment, what is remembered is when a scheduler first saw it.
    is_moment = ticked_ms is not None and schedule.next_ms(ticked_ms - 1) == ticked_ms
    return {"last_ms": ticked_ms if is_moment else None, "since_ms": None if is_moment else ticked_ms}


def _when(schedule: Schedule) -> str:
    if isinstance(schedule.when, timedelta):
        return f"every {_interval(schedule.when)}"
    return f"{schedule.when} {schedule.timezone}"


def _interval(length: timedelta) -> str:
    """In full, with the units that it has: `1 d`, `1 h 30 min`, `2.5 s`."""
    parts = []
    for name, unit in UNITS:
        whole, length = divmod(length, unit)
        if whole:
            parts.append(f"{whole} {name}")
    if length:
        parts.append(f"{length.total_seconds():g} s")
    return " ".join(parts)


def _print(session: Session, document: dict[str, Any], running: dict[str, list[Work]], now_ms: int) -> None:
    terminal = session.terminal
    rows = [
        (printable(worker), printable(work.task or "?"), work.record.owner, *_progress(work, now_ms))
        for worker, works in running.items()
        for work in works
    ]
    idle = [worker["name"] for worker in document["workers"] if not worker["running"]]
    rows += [(printable(worker), "-", "-", "-", "-") for worker in idle]
    if rows:
        terminal.table(("WORKER", "TASK", "ID", "RUNS FOR", "PROGRESS"), rows)
    else:
        terminal.line(f"No worker was seen in the last half minute in {session.place}, and nothing runs.")
    if document["held"]:
        terminal.line(f"held until due, on no queue: {document['held']}; `queues locks` shows them")
    if document["dead_letters"]:
        terminal.line(f"dead letters: {document['dead_letters']}; `queues dead-letters list` shows them")
    if "queues" in document:
        terminal.line()
        depths = [(printable(d["queue"]), str(d["waiting"]), str(d["delayed"])) for d in document["queues"]]
        terminal.table(("QUEUE", "WAITING", "NOT DUE"), depths)
        held = document["held_by_workers"]
        terminal.line(f"with workers, running or not yet: {'the broker does not tell' if held is None else held}")
    if document.get("schedules"):
        terminal.line()
        planned = [
            (printable(s["name"]), s["when"], _last_text(s), _moment(s["next_ms"])) for s in document["schedules"]
        ]
        terminal.table(("SCHEDULE", "WHEN", "LAST", "NEXT"), planned)


def _progress(work: Work, now_ms: int) -> tuple[str, str]:
    told = progress(work.record)
    begun_ms = work.begun_ms or now_ms
    return duration(now_ms - begun_ms), "-" if told is None else f"{told['done']}/{told['total'] or '?'}"


def _last_text(schedule: dict[str, Any]) -> str:
    since_ms = schedule["since_ms"]
    return _moment(schedule["last_ms"]) if since_ms is None else f"none since {_moment(since_ms)}"


def _moment(moment_ms: int | None) -> str:
    return "-" if moment_ms is None else f"{datetime.fromtimestamp(moment_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
