"""`queues cancel` and `queues release`: what will happen is shown first, and must be agreed to."""

import argparse
import secrets

from queues.commands.agreement import is_agreed, tell
from queues.commands.session import Exit, Session
from queues.explanation import duration
from queues.idempotency.recovery import LONGEST_PERIOD_MS
from queues.idempotency.state import Answer, Begin, Cancel, Kind, Release, State
from queues.inspection import Work, printable
from queues.purge import CANCELLED_TTL_MS
from queues.stores.redis import RedisStore

LOCK_TTL_MS = 3_600_000
BRIEF_LEASE_MS = 2_000
"""For the moment between taking queued work and giving it back; should this command die there, it lasts so long."""
MANY_LOST = 1_000_000
"""Taking work to give it back must never end it as dead."""


def cancel(arguments: argparse.Namespace, session: Session) -> int:
    """Cancel work that has not begun, or ask it to stop."""
    work = _found(arguments, session)
    if work is None:
        return Exit.NOT_FOUND
    if not work.record.state.is_live:
        return tell(session, Exit.NOT_FOUND, "unchanged", f"It has its outcome already: {work.record.state.value}.")
    if work.record.state is State.RUNNING:
        plan = "It runs: its worker is asked to stop it with the next heartbeat. What it has done stays done."
    else:
        plan = f"It is {work.record.state.value}: a cancellation is stored as its outcome, and it will not run."
    if not _is_agreed(arguments, session, work, plan):
        return Exit.REFUSED
    store = RedisStore(session.redis_url, prefix=session.prefix)
    try:
        answer = store.apply(work.digest, Cancel(CANCELLED_TTL_MS))
    finally:
        store.close()
    if answer.kind is not Kind.OK:
        return tell(session, Exit.NOT_FOUND, "unchanged", "It ended meanwhile; nothing was changed.")
    if answer.state is State.RUNNING:
        return tell(session, Exit.DONE, "asked", "Asked to stop.")
    return tell(session, Exit.DONE, "cancelled", "Cancelled.")


def release(arguments: argparse.Namespace, session: Session) -> int:
    """Take the right to run back, so that any worker may begin the work."""
    work = _found(arguments, session)
    if work is None:
        return Exit.NOT_FOUND
    if not work.record.state.is_live:
        text = f"There is no lease: it is {work.record.state.value}. Its key is free when the outcome expires."
        return tell(session, Exit.NOT_FOUND, "unchanged", text)
    if work.has_live_lease and not arguments.force:
        left = duration(work.record.until_ms - work.now_ms)
        text = (
            f"Refused: a worker holds the lease for {left} more, and renews it while it lives. Released now, the work "
            "may run twice at the same time until that worker sees that it lost the lease; only its outcome is "
            "refused, not what else it does. If the worker is dead, the lease ends by itself. --force does it anyway."
        )
        return tell(session, Exit.REFUSED, "refused", text)
    if not _is_agreed(arguments, session, work, _release_plan(work)):
        return Exit.REFUSED
    store = RedisStore(session.redis_url, prefix=session.prefix)
    try:
        answer = _released(store, work)
        seen = len(store.workers())
    finally:
        store.close()
    if answer.kind is Kind.CANCELLED:
        return tell(session, Exit.DONE, "cancelled", "It had been asked to stop: it has ended as cancelled.")
    if answer.kind is not Kind.OK:
        text = f"Not released: the record changed meanwhile, or must not begin yet ({answer.kind.value}). Look again."
        return tell(session, Exit.REFUSED, "unchanged", text)
    if work.is_manual:
        return tell(session, Exit.DONE, "released", "Released: the lock is free.")
    within = f"a worker of its task publishes it within {duration(LONGEST_PERIOD_MS)}" if seen else "no worker was seen"
    return tell(session, Exit.DONE, "released", f"Released: {within}.")


def _released(store: RedisStore, work: Work) -> Answer:
    r = work.record
    token = r.token
    if r.state is not State.RUNNING:
        # Only a run can be given back: take it as its own message would, and give it back at once.
        execution = f"release-{secrets.token_hex(8)}"
        request = Begin(r.fingerprint, r.owner, r.message, execution, r.retries, BRIEF_LEASE_MS, MANY_LOST, LOCK_TTL_MS)
        taken = store.apply(work.digest, request)
        if taken.kind is not Kind.RUN:
            return taken
        token = taken.token
    # Overdue from now on, so that recovery publishes it; a lock that a program took has no message, and just ends.
    return store.apply(work.digest, Release(token, 0, LOCK_TTL_MS, work.is_manual))


def _release_plan(work: Work) -> str:
    if work.is_manual:
        return "A program took this lock itself: it is removed. The program can store no outcome under it any more."
    match work.record.state:
        case State.RUNNING if work.has_live_lease:
            return "A worker that may be alive loses its lease; the work is queued again, and can run beside it."
        case State.RUNNING:
            return "Its lease is over: the work is queued again, and its message is published anew."
        case State.WAITING:
            return "Its retry does not wait any longer: the work is queued, and its message is published anew."
        case _:
            return "Its message is published anew; should the first one still come, it is answered by the outcome."


def _found(arguments: argparse.Namespace, session: Session) -> Work | None:
    with session.inspector() as inspector:
        _, work = inspector.find(arguments.work)
    if work is None:
        tell(session, Exit.NOT_FOUND, "unknown", f"No record of {printable(arguments.work)} in {session.place}.")
    return work


def _is_agreed(arguments: argparse.Namespace, session: Session, work: Work, plan: str) -> bool:
    return is_agreed(session, [f"{printable(work.task or 'work')} {work.record.owner}", plan], yes=arguments.yes)
