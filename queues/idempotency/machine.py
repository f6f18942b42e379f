"""The specification: what each operation does to a record, as pure functions.

    admit             begin                  complete
 ─────────▶ QUEUED ─────────▶ RUNNING ─────────────────▶ COMPLETED
              ▲ │ ▲            │ │ │ ▲  fail, cancel
      release │ │ └────────────┘ │ │ │ └──────────────▶ FAILED
              │ │ cancel    wait │ │ │ begin
              │ └──▶ FAILED      ▼ │ │ (due, or its own)
              │                 WAITING
              │                    │ begin after the lease, max_lost times
              └────────────────────┴─────────────────▶ DEAD

Queued work may be given newer arguments, and running work be followed by one more run (`replace`, `keep_last`).
Work that ends as FAILED without having been cancelled, or as DEAD, leaves a dead letter, from which it can be queued
again (`revive`); `letters.py` is the specification of letters.

Work that is due in a long time is held: it is queued or waiting, and its message is on no queue until it is due. Nobody
else's message begins it before its own was published, so that what waits for that one is answered too.

Work may have to begin by some time. Queued work that never ran ends then as expired: a failure that is not cached, so
that a new submission runs. A retry, and what was given back after it had begun, does not expire. Failures with the code
`expired` or `cancelled` are what somebody asked for: they are no dead letters.

The whole specification stands in this one file, longer than others, so that it can be read at once. The scripts in
`queues/scripts` are the atomic form of these functions; the memory store is these functions
under a lock. No function here reads a clock or a network.

Source: fencing tokens, Kleppmann, "How to do distributed locking", 2016; leases, Gray and Cheriton, 1989.
"""

from dataclasses import replace
from typing import assert_never

from queues.idempotency.burial import Bury, Drop, Revive
from queues.idempotency.state import (
    Admit,
    Answer,
    Begin,
    Cancel,
    Complete,
    Confirm,
    Duplicate,
    Fail,
    Heartbeat,
    Help,
    Kind,
    Look,
    Operation,
    Record,
    Release,
    State,
    Wait,
)

DEAD_OUTCOME = (
    b'{"error":{"type":"queues.errors.LeaseLostError","message":"every worker that ran it died or lost its lease",'
    b'"code":"dead"}}'
)
CANCELLED_OUTCOME = (
    b'{"error":{"type":"queues.errors.TaskCancelledError","message":"the task was cancelled","code":"cancelled"}}'
)
EXPIRED_OUTCOME = (
    b'{"error":{"type":"queues.errors.TaskExpiredError","message":"it had not begun in time, and will not run",'
    b'"code":"expired"}}'
)
NEXT_WITHIN_MS = 10_000
"""How long a worker may take to publish the run that follows the one it ended."""
UNPUBLISHED_TTL_MS = 30 * 86_400_000
"""How long the record of a message that is on no queue is kept: until then, the record is all there is of it. So it is
with the newer arguments of queued work, and with the run that follows a running one."""
QUEUE_WAIT_MS = 3_600_000
"""How long a message may wait in its queue before a duplicate or recovery publishes it again."""
HOLD_AFTER_MS = 60_000
"""Work that is due later than that is held. A broker would keep it in the memory of a worker, and deliver it again and
again: RabbitMQ every half hour, Celery on Redis after each visibility timeout. For up to a minute, a broker will do."""
MAX_HELP_INTERVAL_MS = 600_000
"""A message that waits in a long queue is published again ever more rarely, at last every ten minutes."""

Result = tuple[Record | None, Answer]


def apply(record: Record | None, operation: Operation, now_ms: int) -> Result:  # noqa: C901 - one arm an operation
    """The record after `operation`, and its answer.

    Args:
        record: what the store holds; None if nothing, or if it has expired.
        now_ms: the store's clock, in ms since the Unix epoch.
    """
    match operation:
        case Admit():
            return admit(record, operation, now_ms)
        case Look():
            return record, look(record, operation, now_ms)
        case Confirm():
            return confirm(record, operation, now_ms)
        case Begin():
            return begin(record, operation, now_ms)
        case Heartbeat():
            return heartbeat(record, operation, now_ms)
        case Complete():
            return complete(record, operation, now_ms)
        case Wait():
            return wait(record, operation, now_ms)
        case Fail():
            return fail(record, operation, now_ms)
        case Release():
            return release(record, operation, now_ms)
        case Cancel():
            return cancel(record, operation, now_ms)
        case Help():
            return help_(record, operation, now_ms)
        case Revive():
            return revive(record, operation, now_ms)
        case Bury() | Drop():
            return record, Answer(Kind.OK)  # a letter's, not the record's
    assert_never(operation)


def admit(record: Record | None, request: Admit, now_ms: int) -> Result:
    """Reserve the work, change what is queued, or say who has it or what came of it."""
    if record is None or _makes_way(record, request.message_id, now_ms):
        return _reserve(record, request, now_ms)
    is_other = _is_other(record, request)
    if not record.state.is_live:
        if is_other and request.duplicate is not Duplicate.JOIN:
            return _reserve(record, request, now_ms)
        return record, Answer(Kind.CONFLICT, record.owner, record.state) if is_other else _stored(record)
    if record.owner == request.message_id and not is_other:
        # Its reply had been lost: it neither replaces nor follows itself.
        kind = Kind.ADMITTED if record.state is State.QUEUED else Kind.INFLIGHT
        return record, Answer(kind, record.owner, record.state)
    if record.state is not State.RUNNING and request.duplicate is not Duplicate.JOIN:
        return _replace(record, request, now_ms)
    if request.duplicate is Duplicate.FOLLOW:
        return _follow(record, request)
    if is_other:
        return record, Answer(Kind.CONFLICT, record.owner, record.state)
    if record.help_at_ms <= now_ms:
        return _helped(record, request.help_after_ms, request.ttl_ms, now_ms)
    return record, _in_flight(record, now_ms)


def _in_flight(record: Record, now_ms: int) -> Answer:
    return Answer(Kind.INFLIGHT, record.owner, record.state, wait_ms=max(0, record.until_ms - now_ms))


def _reserve(record: Record | None, request: Admit, now_ms: int) -> Result:
    help_at_ms = now_ms + request.quiet_ms + (0 if request.is_held else request.help_after_ms)
    reserved = Record(
        State.QUEUED,
        request.fingerprint,
        request.message_id,
        token=record.token if record else 0,
        message=request.message,
        follows=record.owner if record and not _makes_way(record, request.message_id, now_ms) else "",
        until_ms=now_ms + request.quiet_ms if request.quiet_ms else 0,
        begin_by_ms=request.begin_by_ms,
        help_at_ms=help_at_ms,
        created_ms=now_ms,
        expires_ms=help_at_ms + request.ttl_ms,
    )
    return reserved, Answer(Kind.ADMITTED, request.message_id, State.QUEUED)


def _replace(record: Record, request: Admit, now_ms: int) -> Result:
    until_ms = max(record.until_ms, now_ms + request.quiet_ms) if request.quiet_ms else record.until_ms
    published_by_ms = now_ms + request.quiet_ms + (0 if request.is_held else request.help_after_ms)
    help_at_ms = until_ms if record.is_held else max(record.help_at_ms, published_by_ms)
    replaced = replace(
        record,
        message=request.message,
        fingerprint=request.fingerprint,
        is_replaced=True,
        next_message=b"",
        next_owner="",
        next_fingerprint="",
        until_ms=until_ms,
        begin_by_ms=request.begin_by_ms,
        help_at_ms=help_at_ms,
        expires_ms=help_at_ms + max(request.ttl_ms, UNPUBLISHED_TTL_MS),
    )
    return replaced, Answer(Kind.REPLACED, record.owner, record.state)


def _follow(record: Record, request: Admit) -> Result:
    followed = replace(
        record,
        next_message=request.message,
        next_owner=request.message_id,
        next_fingerprint=request.fingerprint,
        expires_ms=record.until_ms + max(request.ttl_ms, UNPUBLISHED_TTL_MS),
    )
    return followed, Answer(Kind.FOLLOWS, request.message_id, record.state)


def look(record: Record | None, request: Look, now_ms: int) -> Answer:
    """What `admit` answers to every message that joins, where it changes nothing; a miss where it might."""
    if record is None or record.fingerprint != request.fingerprint or _makes_way(record, "", now_ms):
        return Answer(Kind.MISS)
    if not record.state.is_live:
        return _stored(record)
    if request.is_ended or record.help_at_ms <= now_ms:
        return Answer(Kind.MISS)
    return _in_flight(record, now_ms)


def confirm(record: Record | None, request: Confirm, now_ms: int) -> Result:
    """Let the published message wait in its queue; work that went on meanwhile is left alone."""
    if record is None or record.state is not State.QUEUED or record.owner != request.message_id:
        return record, Answer(Kind.OK)
    help_at_ms = max(record.until_ms, now_ms + request.help_after_ms)
    confirmed = replace(record, help_at_ms=help_at_ms, expires_ms=help_at_ms + _kept_ms(record, request.ttl_ms))
    return confirmed, Answer(Kind.OK, record.owner, State.QUEUED)


def begin(record: Record | None, request: Begin, now_ms: int) -> Result:
    """Give the right to run, or say why not."""
    if record is None:
        return _expire(None, request, now_ms) if _is_late(request, now_ms) else _run(None, request, now_ms)
    if _makes_way(record, request.message_id, now_ms):
        return _run_anew(record, request, now_ms)
    is_own = record.owner == request.message_id
    if request.message_id == record.follows:
        # It has run; its outcome gave way to the work that followed.
        return record, Answer(Kind.FENCED, record.owner, record.state)
    if _is_other(record, request):
        return record, Answer(Kind.CONFLICT, record.owner, record.state)
    if not record.state.is_live:
        return record, _stored(record)
    if record.state is State.RUNNING:
        return _begin_running(record, request, now_ms)
    # Of a run that followed another, only its own message tells by when it must begin.
    is_over = _is_late(request, now_ms) and not (record.is_replaced or record.execution)
    if record.state is State.QUEUED and is_own and (is_over or _is_expired(record, now_ms)):
        return _finish(record, State.FAILED, EXPIRED_OUTCOME, request.ttl_ms, now_ms)
    is_early = record.until_ms > now_ms and not (record.state is State.WAITING and is_own)
    if record.is_held and (is_early or not is_own):
        return record, Answer(Kind.HELD, record.owner, record.state, wait_ms=max(0, record.until_ms - now_ms))
    if is_early:
        kind = Kind.BUSY_SELF if is_own else Kind.BUSY
        return record, Answer(kind, record.owner, record.state, wait_ms=record.until_ms - now_ms)
    return _run(record, request, now_ms)


def _begin_running(record: Record, request: Begin, now_ms: int) -> Result:
    if record.execution == request.execution:
        return record, _right_to_run(record)
    if record.until_ms > now_ms:
        kind = Kind.BUSY_SELF if record.owner == request.message_id else Kind.BUSY
        return record, Answer(kind, record.owner, State.RUNNING, wait_ms=record.until_ms - now_ms)
    if record.is_cancelled and record.owner == request.message_id:
        # Another token, so that the run that was cancelled cannot take the outcome for its own.
        ended = replace(record, token=record.token + 1)
        return _finish(ended, State.FAILED, CANCELLED_OUTCOME, request.ttl_ms, now_ms)
    if record.is_cancelled:
        return _run_anew(record, request, now_ms)
    if record.lost >= request.max_lost:
        return _finish(record, State.DEAD, DEAD_OUTCOME, request.ttl_ms, now_ms)
    return _run(replace(record, lost=record.lost + 1), request, now_ms)


def heartbeat(record: Record | None, request: Heartbeat, now_ms: int) -> Result:
    """Renew the lease of the run that holds the token."""
    if record is None or not _holds(record, request.token):
        return record, Answer(Kind.FENCED)
    until_ms = now_ms + request.lease_ms
    renewed = replace(
        record,
        until_ms=until_ms,
        help_at_ms=until_ms,
        expires_ms=until_ms + _kept_ms(record, request.ttl_ms),
        progress=request.progress or record.progress,
    )
    return renewed, Answer(Kind.CANCELLED if record.is_cancelled else Kind.OK, record.owner, State.RUNNING)


def complete(record: Record | None, request: Complete, now_ms: int) -> Result:
    """Store the outcome of the run that holds the token; a repetition changes nothing."""
    if record is not None and _holds(record, request.token):
        finished, told = _finish(record, State.COMPLETED, request.outcome, request.ttl_ms, now_ms)
        return finished, replace(told, kind=Kind.OK, token=0, outcome=b"")
    return record, _repeated(record, State.COMPLETED, request.token)


def wait(record: Record | None, request: Wait, now_ms: int) -> Result:
    """Put the run that holds the token off until its next attempt; a cancelled one ends here."""
    if record is None or not _holds(record, request.token):
        return record, _repeated_or_cancelled(record, State.WAITING, request.token)
    if record.is_cancelled:
        return _cancelled(record, request.ttl_ms, now_ms)
    until_ms = now_ms + request.delay_ms
    help_at_ms = until_ms + (0 if request.is_held else request.help_after_ms)
    waiting = replace(
        record,
        state=State.WAITING,
        message=request.message,
        retries=request.retries,
        until_ms=until_ms,
        help_at_ms=help_at_ms,
        helps=0,
        lost=0,
        progress="",
        expires_ms=help_at_ms + _kept_ms(record, request.ttl_ms),
    )
    return waiting, Answer(Kind.OK, record.owner, State.WAITING)


def fail(record: Record | None, request: Fail, now_ms: int) -> Result:
    """Store the failure of the run that holds the token; a repetition changes nothing."""
    if record is not None and _holds(record, request.token):
        finished, told = _finish(
            record, State.FAILED, request.outcome, request.ttl_ms, now_ms, is_cached=request.is_cached
        )
        return finished, replace(told, kind=Kind.OK, token=0, outcome=b"")
    return record, _repeated(record, State.FAILED, request.token)


def release(record: Record | None, request: Release, now_ms: int) -> Result:
    """Put the run that holds the token back among the queued; a cancelled one ends here."""
    if record is None or not _holds(record, request.token):
        return record, _repeated_or_cancelled(record, State.QUEUED, request.token)
    if record.is_cancelled:
        return _cancelled(record, request.ttl_ms, now_ms)
    if request.is_forgotten and record.next_message:
        return _next(record, now_ms), Answer(Kind.OK, message=record.next_message)
    if request.is_forgotten:
        return None, Answer(Kind.OK)
    help_at_ms = now_ms + request.help_after_ms
    queued = replace(
        record,
        state=State.QUEUED,
        until_ms=0,
        help_at_ms=help_at_ms,
        helps=0,
        progress="",
        expires_ms=help_at_ms + _kept_ms(record, request.ttl_ms),
    )
    return queued, Answer(Kind.OK, record.owner, State.QUEUED)


def cancel(record: Record | None, request: Cancel, now_ms: int) -> Result:
    """End work that has not begun; mark work that runs, or spare it; leave an outcome as it is."""
    if record is None:
        return None, Answer(Kind.FENCED)
    if not record.state.is_live:
        return record, _stored(record)
    if record.state is State.RUNNING and request.spares_running:
        return record, Answer(Kind.BUSY, record.owner, State.RUNNING)
    record = replace(record, next_message=b"", next_owner="", next_fingerprint="")
    if record.state is State.RUNNING:
        return replace(record, is_cancelled=True), Answer(Kind.OK, record.owner, State.RUNNING)
    finished, _ = _finish(record, State.FAILED, CANCELLED_OUTCOME, request.ttl_ms, now_ms)
    return finished, Answer(Kind.OK, record.owner, State.FAILED)


def help_(record: Record | None, request: Help, now_ms: int) -> Result:
    """Hand out the message of work that is overdue, and put the next help off; work that has expired ends here."""
    if record is None or not record.state.is_live or record.help_at_ms > now_ms:
        return record, Answer(Kind.OK)
    if _is_expired(record, now_ms):
        return _finish(record, State.FAILED, EXPIRED_OUTCOME, request.ttl_ms, now_ms)[0], Answer(Kind.OK)
    return _helped(record, request.help_after_ms, request.ttl_ms, now_ms)


def revive(record: Record | None, request: Revive, now_ms: int) -> Result:
    """Queue the work of a dead letter anew, unless it goes on already or an outcome answers.

    It is overdue from now on: recovery publishes it, so that this needs no broker.
    """
    if record is not None and record.state.is_live:
        return record, Answer(Kind.INFLIGHT, record.owner, record.state)
    gives_way = record is None or request.is_released or (record.state is State.FAILED and not record.is_cached)
    if record is not None and not gives_way:
        is_other = record.fingerprint != request.fingerprint
        return record, Answer(Kind.CONFLICT, record.owner, record.state) if is_other else _stored(record)
    revived = Record(
        State.QUEUED,
        request.fingerprint,
        request.message_id,
        token=record.token if record else 0,
        message=request.message,
        help_at_ms=now_ms,
        created_ms=now_ms,
        expires_ms=now_ms + request.ttl_ms,
    )
    return revived, Answer(Kind.ADMITTED, request.message_id, State.QUEUED)


def _is_other(record: Record, request: Admit | Begin) -> bool:
    # Its own message may be older than the record: the arguments of queued work can be replaced.
    is_older = record.is_replaced and record.owner == request.message_id
    return record.fingerprint != request.fingerprint and not is_older


def _is_spent(record: Record, message_id: str) -> bool:
    # A failure that is not cached answers its own message only.
    return record.state is State.FAILED and not record.is_cached and record.owner != message_id


def _is_expired(record: Record, now_ms: int) -> bool:
    return record.state is State.QUEUED and not record.execution and 0 < record.begin_by_ms <= now_ms


def _is_late(request: Begin, now_ms: int) -> bool:
    return request.retries == 0 and 0 < request.begin_by_ms <= now_ms


def _makes_way(record: Record, message_id: str, now_ms: int) -> bool:
    # Work that has expired will end as a failure that is spent; for others it has already.
    return _is_spent(record, message_id) or (_is_expired(record, now_ms) and record.owner != message_id)


def _expire(record: Record | None, request: Begin, now_ms: int) -> Result:
    ended = Record(
        State.QUEUED,
        request.fingerprint,
        request.message_id,
        token=record.token + 1 if record else 0,  # as where a cancelled run ends
        next_message=record.next_message if record else b"",
        next_owner=record.next_owner if record else "",
        next_fingerprint=record.next_fingerprint if record else "",
        created_ms=now_ms,
    )
    return _finish(ended, State.FAILED, EXPIRED_OUTCOME, request.ttl_ms, now_ms)


def _run_anew(record: Record, request: Begin, now_ms: int) -> Result:
    if _is_late(request, now_ms):
        return _expire(record, request, now_ms)
    anew = replace(record, retries=request.retries, lost=0, is_replaced=False, follows="", created_ms=now_ms)
    return _run(anew, request, now_ms)


def _run(record: Record | None, request: Begin, now_ms: int) -> Result:
    until_ms = now_ms + request.lease_ms
    is_replaced = record is not None and record.is_replaced
    running = Record(
        State.RUNNING,
        record.fingerprint if record is not None and is_replaced else request.fingerprint,
        request.message_id,
        # Microseconds, so that the token also grows after a record expired and was forgotten.
        token=max((record.token if record else 0) + 1, now_ms * 1000),
        execution=request.execution,
        message=record.message if record is not None and is_replaced else request.message,
        until_ms=until_ms,
        help_at_ms=until_ms,
        is_replaced=is_replaced,
        follows=record.follows if record else "",
        next_message=record.next_message if record else b"",
        next_owner=record.next_owner if record else "",
        next_fingerprint=record.next_fingerprint if record else "",
        lost=record.lost if record else 0,
        retries=record.retries if record else request.retries,
        created_ms=record.created_ms if record else now_ms,
        expires_ms=until_ms + (_kept_ms(record, request.ttl_ms) if record else request.ttl_ms),
    )
    return running, _right_to_run(running)


def _right_to_run(record: Record) -> Answer:
    return Answer(
        Kind.RUN,
        record.owner,
        State.RUNNING,
        record.token,
        retries=record.retries,
        lost=record.lost,
        message=record.message if record.is_replaced else b"",
        created_ms=record.created_ms,
    )


def _next(record: Record, now_ms: int) -> Record:
    help_at_ms = now_ms + NEXT_WITHIN_MS
    return Record(
        State.QUEUED,
        record.next_fingerprint,
        record.next_owner,
        token=record.token,
        message=record.next_message,
        help_at_ms=help_at_ms,
        follows=record.owner,
        created_ms=now_ms,
        expires_ms=help_at_ms + UNPUBLISHED_TTL_MS,
    )


def _finish(
    record: Record, state: State, outcome: bytes, ttl_ms: int, now_ms: int, *, is_cached: bool = False
) -> Result:
    finished = Record(
        state,
        record.fingerprint,
        record.owner,
        token=record.token,
        retries=record.retries,
        outcome=outcome,
        is_cached=is_cached,
        is_replaced=record.is_replaced,
        follows=record.follows,
        created_ms=record.created_ms,
        finished_ms=now_ms,
        expires_ms=now_ms + ttl_ms,
    )
    told = _stored(finished)
    if record.next_message:
        return _next(record, now_ms), replace(told, message=record.next_message)
    return finished, told


def _cancelled(record: Record, ttl_ms: int, now_ms: int) -> Result:
    cancelled, told = _finish(record, State.FAILED, CANCELLED_OUTCOME, ttl_ms, now_ms)
    return cancelled, replace(told, kind=Kind.CANCELLED, token=0, outcome=b"")


def _helped(record: Record, help_after_ms: int, ttl_ms: int, now_ms: int) -> Result:
    interval_ms = min(help_after_ms * 2 ** min(record.helps, 16), max(help_after_ms, MAX_HELP_INTERVAL_MS))
    help_at_ms = now_ms + interval_ms
    helped = replace(
        record,
        help_at_ms=help_at_ms,
        helps=record.helps + 1,
        expires_ms=max(help_at_ms, record.until_ms) + _kept_ms(record, ttl_ms),
    )
    return helped, Answer(Kind.HELP, record.owner, record.state, message=record.message)


def _kept_ms(record: Record, ttl_ms: int) -> int:
    return max(ttl_ms, UNPUBLISHED_TTL_MS) if record.is_replaced or record.next_message else ttl_ms


def _holds(record: Record, token: int) -> bool:
    return record.state is State.RUNNING and record.token == token


def _repeated(record: Record | None, state: State, token: int) -> Answer:
    if record is not None and record.state is State.QUEUED and record.follows and record.token == token:
        return Answer(Kind.OK, record.owner, record.state, message=record.message)
    if record is not None and record.state is state and record.token == token:
        return Answer(Kind.OK, record.owner, state)
    return Answer(Kind.FENCED, record.owner if record else "", record.state if record else State.UNKNOWN)


def _repeated_or_cancelled(record: Record | None, state: State, token: int) -> Answer:
    if record is not None and record.token == token and record.outcome == CANCELLED_OUTCOME:
        return Answer(Kind.CANCELLED, record.owner, record.state)
    return _repeated(record, state, token)


def _stored(record: Record) -> Answer:
    kinds = {State.COMPLETED: Kind.REPLAY, State.FAILED: Kind.REPLAY_ERROR, State.DEAD: Kind.DEAD}
    return Answer(kinds[record.state], record.owner, record.state, record.token, outcome=record.outcome)
