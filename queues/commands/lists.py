"""`queues locks`, `results`, `workers` and `stats`: what there is."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from queues.commands.session import Exit, Session
from queues.explanation import answer_of, duration
from queues.idempotency.state import LIVE, State
from queues.inspection import Work, cut, printable
from queues.stores.redis_listing import RedisListing

ANSWER_CHARS = 60


def locks(arguments: argparse.Namespace, session: Session) -> int:
    """List unfinished work."""

    def is_wanted(work: Work) -> bool:
        return not arguments.task or work.task == arguments.task

    states = {arguments.state} if arguments.state else None
    with session.inspector() as inspector:
        found = inspector.live(is_wanted=is_wanted, states=states, overdue_only=arguments.overdue)
        columns = ("STATE", "TASK", "ID", "ATTEMPT", "LOST", "AGE", "NEXT")
        _listed(found, inspector.listing, arguments, session, columns, _lock_row)
    return Exit.DONE


def results(arguments: argparse.Namespace, session: Session) -> int:
    """List outcomes."""
    states = {State.FAILED.value, State.DEAD.value} if arguments.failed else None
    with session.inspector() as inspector:
        columns = ("STATE", "ID", "ATTEMPT", "FINISHED", "KEPT FOR", "ANSWER")
        _listed(
            inspector.outcomes(states=states),
            inspector.listing,
            arguments,
            session,
            columns,
            lambda work: _result_row(work, has_args=not arguments.no_args),
        )
    return Exit.DONE


def workers(_arguments: argparse.Namespace, session: Session) -> int:
    """List the workers that were seen in the last half minute."""
    with session.inspector() as inspector:
        found, now_ms = inspector.workers(), inspector.listing.now_ms()
    if session.terminal.is_json:
        rows = [{"name": w.name, "backend": w.backend, "seen_ms": w.seen_ms} for w in found]
        session.terminal.document({"workers": rows, "now_ms": now_ms})
    elif found:
        seen = [(printable(w.name), printable(w.backend), f"{duration(now_ms - w.seen_ms)} ago") for w in found]
        session.terminal.table(("WORKER", "BACKEND", "SEEN"), seen)
    else:
        session.terminal.line(f"No worker was seen in the last half minute in {session.place}.")
    return Exit.DONE


def stats(_arguments: argparse.Namespace, session: Session) -> int:
    """Count the records by state."""
    with session.inspector() as inspector:
        counts, seen, letters = inspector.counts(), len(inspector.workers()), inspector.letters.totals()
    states = {state.value: counts.states[state.value] for state in State if state is not State.UNKNOWN}
    if session.terminal.is_json:
        more = {"overdue": counts.overdue, "workers": seen, "dead_letters": letters.kept}
        more |= {"is_complete": not counts.is_cut}
        session.terminal.document({"states": states, **more})
        return Exit.DONE
    live = {state.value for state in LIVE}
    rows = [(state, f"{count}{'+' if counts.is_cut and state not in live else ''}") for state, count in states.items()]
    session.terminal.fields(
        [*rows, ("overdue", str(counts.overdue)), ("dead letters", str(letters.kept)), ("workers", str(seen))]
    )
    return Exit.DONE


def _listed(
    found: Iterator[Work],
    listing: RedisListing,
    arguments: argparse.Namespace,
    session: Session,
    columns: Sequence[str],
    row: Callable[[Work], Sequence[str]],
) -> None:
    works = list(islice(found, arguments.limit))
    has_more = next(found, None) is not None
    if session.terminal.is_json:
        records = [work.as_json(has_args=not arguments.no_args) for work in works]
        session.terminal.document({"records": records, "has_more": has_more, "is_complete": not listing.is_cut})
        return
    if not works:
        session.terminal.line(f"Nothing of that kind in {session.place}.")
        return
    session.terminal.table(columns, [row(work) for work in works])
    if listing.is_cut:
        session.terminal.line("Not every key was looked at: there are very many.")
    if has_more:
        session.terminal.line(f"There are more than these {len(works)}: see --limit.")


def _lock_row(work: Work) -> Sequence[str]:
    r = work.record
    return (
        r.state.value,
        printable(work.task or "?"),
        r.owner,
        str(work.attempt or "-"),
        str(r.lost or "-"),
        duration(work.now_ms - r.created_ms),
        _next(work),
    )


def _next(work: Work) -> str:
    r, now_ms = work.record, work.now_ms
    if work.problem:
        return work.problem
    if work.is_overdue:
        return f"overdue since {duration(now_ms - r.help_at_ms)}"
    if r.is_cancelled:
        return "asked to stop"
    if r.state is State.RUNNING:
        return f"lease for {duration(r.until_ms - now_ms)}"
    if r.state is State.WAITING:
        return f"retry in {duration(r.until_ms - now_ms)}"
    if r.until_ms > now_ms:
        return f"due in {duration(r.until_ms - now_ms)}"
    return f"again in {duration(r.help_at_ms - now_ms)}"


def _result_row(work: Work, *, has_args: bool) -> Sequence[str]:
    r = work.record
    return (
        r.state.value,
        r.owner,
        str(work.attempt or "-"),
        f"{duration(work.now_ms - r.finished_ms)} ago",
        duration(r.expires_ms - work.now_ms),
        cut(answer_of(work, has_args=has_args), ANSWER_CHARS),
    )
