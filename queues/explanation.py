"""The story of one task, told from its record: how it came there, and what would happen next."""

from dataclasses import dataclass
from datetime import UTC, datetime

from queues.handle import Decision
from queues.idempotency import machine
from queues.idempotency.state import Admit, Begin, Kind, Record, State
from queues.inspection import Work, cut
from queues.stores.redis_waits import RateWait, SlotWait

ASSUMED_MS = 30_000
MAX_LOST = 3
"""The default of `Once.max_lost`: a record does not tell its task's own."""
MANY_HOLDERS = 5

NO_RECORD = (
    "It never was accepted here: its id is mistyped, or its submission raised an error.",
    "It repeated work that was accepted under another id, as a second message of an app of your own does.",
    "Its outcome expired: an outcome is kept for the task's `ttl`, an hour by default.",
    "Its records are elsewhere: in another Redis, in another database of it, or under another prefix.",
    "Redis lost it: it evicts keys, or it was restarted without an append-only file. `queues doctor` tells.",
)


@dataclass(frozen=True, slots=True)
class Foretold:
    """What would happen, and why.

    Args:
        decision: of a submission, a `Decision`'s value; of a delivery, the store's answer.
    """

    decision: str
    why: str


def duplicate(record: Record, now_ms: int) -> Foretold:
    """What a submission of the same work would get now; decided as the store would decide it."""
    request = Admit(record.fingerprint, "another submission", b"", ASSUMED_MS, ASSUMED_MS)
    kind = machine.admit(record, request, now_ms)[1].kind
    match kind:
        case Kind.ADMITTED:
            return Foretold(
                Decision.EXECUTED.value,
                "it came to nothing that would answer another submission: the work would be run anew",
            )
        case Kind.REPLAY | Kind.REPLAY_ERROR | Kind.DEAD:
            return Foretold(
                Decision.REPLAYED.value,
                f"there is an outcome: nothing would be published; its handle holds that outcome, "
                f"which is kept for {duration(record.expires_ms - now_ms)} more",
            )
        case Kind.HELP:
            return Foretold(
                Decision.JOINED.value,
                "this work is overdue: its message would be published again, and the submitter gets a handle to it",
            )
        case _:
            return Foretold(
                Decision.JOINED.value,
                f"the work is {record.state.value}: nothing would be published, and the submitter gets a handle to "
                f"it; a task with another `on_duplicate` than join answers as that says",
            )


def delivery(record: Record, now_ms: int) -> Foretold:
    """What a worker that gets the owner's message now would do with it."""
    request = Begin(
        record.fingerprint, record.owner, b"", "another delivery", record.retries, ASSUMED_MS, MAX_LOST, ASSUMED_MS
    )
    answer = machine.begin(record, request, now_ms)[1]
    match answer.kind:
        case Kind.RUN if record.state is State.RUNNING:
            return Foretold("run", "the lease is over: the worker takes the work over, under a higher token")
        case Kind.RUN:
            return Foretold("run", "nobody holds a lease: the worker runs it")
        case Kind.BUSY | Kind.BUSY_SELF:
            left = duration(answer.wait_ms)
            return Foretold("deferred", f"a copy would be published, due in {left}; it is never skipped")
        case Kind.HELD:
            return Foretold("dropped", f"its record publishes it when it is due, in {duration(answer.wait_ms)}")
        case Kind.DEAD if record.state.is_live:
            return Foretold("dead", f"{record.lost} workers died of it: where max_lost is {MAX_LOST}, it ends here")
        case _:
            return Foretold("replayed", "the worker answers with the stored outcome and does not run it")


def story(work: Work) -> list[str]:
    """What the record tells of the past and of now, a sentence a fact."""
    r, now_ms = work.record, work.now_ms
    lines = [f"Accepted {ago(now_ms, r.created_ms)}, as message {r.owner}."] if r.created_ms else []
    if r.is_replaced:
        lines.append("Its arguments were replaced while it was queued.")
    if r.lost:
        lines.append(
            f"{r.lost} time(s) in a row a lease ended before its run did: the worker died, or stood still for "
            "longer than the lease. Each time another one took the work over."
        )
    if r.retries:
        lines.append(f"{r.retries} attempt(s) ended with a retry.")
    lines += _now(work)
    if r.helps:
        lines.append(f"Its message was published again {r.helps} time(s) since.")
    if work.is_overdue:
        lines.append(
            f"It is overdue since {duration(now_ms - r.help_at_ms)}: any worker that knows the task publishes its "
            "message again; if none does, no worker of this task and backend is alive."
        )
    if r.is_cancelled:
        lines.append("It was asked to stop; its worker stops it with its next heartbeat.")
    if r.next_owner:
        lines.append(f"Another run follows it: message {r.next_owner}.")
    return lines


def _now(work: Work) -> list[str]:
    r, now_ms = work.record, work.now_ms
    match r.state:
        case State.QUEUED if r.until_ms > now_ms:
            return [f"It must not begin for another {duration(r.until_ms - now_ms)}.", *_held(r)]
        case State.QUEUED if r.token and not r.follows:
            return ["A worker began it and gave it back, no attempt counted; its message comes again."]
        case State.QUEUED:
            return ["It waits in its queue; no worker has begun it."]
        case State.RUNNING if work.has_live_lease:
            begun = ago(now_ms, work.begun_ms or now_ms)
            return [
                f"Attempt {work.attempt} began about {begun}, under fencing token {r.token}.",
                f"Delivery {r.execution} holds the lease: {duration(r.until_ms - now_ms)} more, longer when renewed.",
            ]
        case State.RUNNING:
            ended = ago(now_ms, r.until_ms)
            return [f"Attempt {work.attempt} ran under fencing token {r.token}; its lease ended {ended}, not renewed."]
        case State.WAITING if r.until_ms > now_ms:
            return [f"Attempt {work.attempt + 1} is due in {duration(r.until_ms - now_ms)}.", *_held(r)]
        case State.WAITING:
            return [f"Attempt {work.attempt + 1} was due {ago(now_ms, r.until_ms)}."]
        case _:
            return [_ending(work)]


def limited(limit: RateWait | SlotWait) -> str:
    """What work waits for that its task's limits keep from beginning."""
    match limit:
        case RateWait():
            when = f"in {duration(limit.in_ms)}" if limit.in_ms > 0 else f"{duration(-limit.in_ms)} ago"
            return (
                f"It waits for its turn under its task's rate_limit: its place is {when}, with {limit.ahead} before it."
            )
        case SlotWait():
            holders = ", ".join(limit.holders[:MANY_HOLDERS]) or "nobody now"
            more = f" and {len(limit.holders) - MANY_HOLDERS} more" if len(limit.holders) > MANY_HOLDERS else ""
            others = limit.waiting - 1
            return (
                f"It waits for a slot of its task's concurrency limit, with {others} others: "
                f"the work of these keys has them: {holders}{more}."
            )


def _held(record: Record) -> list[str]:
    return ["Its message is on no queue: a worker's recovery publishes it when it is due."] if record.is_held else []


def _ending(work: Work) -> str:
    r = work.record
    under = f", under fencing token {r.token}" if r.token else ", before it began"
    when = f"{ago(work.now_ms, r.finished_ms)}{under}"
    if r.state is State.COMPLETED:
        return f"Attempt {work.attempt} completed {when}."
    if r.state is State.DEAD:
        return f"It was given up {when}: its workers died too often."
    kept = "kept for new submissions too" if r.is_cached else "a new submission runs again"
    how = work.failure.type if work.failure is not None else "an error"
    return f"It failed {when}, with {how}; {kept}."


def duration(ms: int) -> str:
    """A length of time for a person: `350 ms`, `12.3 s`, `4 min 5 s`, `2 h 5 min`, `3 d 4 h`."""
    if ms < 1_000:
        return f"{max(0, ms)} ms"
    seconds = ms // 1000
    if seconds < 60:
        return f"{ms / 1000:.1f} s"
    if seconds < 3_600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86_400:
        return f"{seconds // 3_600} h {seconds % 3_600 // 60} min"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3_600} h"


def ago(now_ms: int, then_ms: int) -> str:
    """How long before now that was."""
    return f"{duration(now_ms - then_ms)} ago"


def moment(ms: int) -> str:
    """A moment in UTC, to the second."""
    try:
        return f"{datetime.fromtimestamp(ms / 1000, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"


def answer_of(work: Work, *, has_args: bool) -> str:
    """What was stored: the result, or the failure; empty while there is no outcome."""
    if work.failure is not None:
        text = f"{work.failure.type}: {work.failure.message}" if has_args else work.failure.type
        return cut(text, 300)
    if work.result is not None:
        return work.result if has_args else f"a result of {work.outcome_bytes} bytes"
    return work.problem
