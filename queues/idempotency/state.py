"""The record of one key: its states, the operations on it, and their answers.

E reserved ("queued"), R running, W waiting for a retry; C completed, F failed, X dead.
"""

from dataclasses import dataclass
from enum import StrEnum

from queues.idempotency.burial import LETTER_TTL_MS, OnLetter
from queues.idempotency.publication import Publication
from queues.lean import lean


class State(StrEnum):
    """Where the work of a key stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    DEAD = "dead"
    UNKNOWN = "unknown"
    """No record: the work never was, or its outcome expired. A record never holds it."""

    @property
    def is_live(self) -> bool:
        """Whether an outcome is still to come."""
        return self in LIVE


LIVE = frozenset({State.QUEUED, State.RUNNING, State.WAITING})


@dataclass(frozen=True, slots=True)
class Record:
    """What the store holds for a key.

    Args:
        owner: id of the message that stands for the work.
        token: the last fencing token given out; 0 before the first run.
        execution: nonce of the delivery that runs; empty before the first run.
        message: the owner's message, to be published again; empty once there is an outcome.
        until_ms: end of the lease (R), when the retry is due (W), or before when queued work must not begin (E),
            on the store's clock. Work whose `help_at_ms` is not later is held: its message is on no queue yet.
        help_at_ms, helps: from when anyone may publish it again (E, R, W), and how often it was since a run began.
        lost: takeovers since the last run that ended by itself.
        retries: retries so far; the attempt's number less one.
        is_cancelled: a running task was asked to stop.
        progress: what the running task last said of itself, as JSON.
        outcome: the envelope (C, F, X).
        is_cached: whether a failure answers new submissions too (F).
        is_replaced: the owner's message on the queue is older than what is, or was, to be run.
        next_message, next_owner, next_fingerprint: of the run that follows this one (R).
        follows: owner of the run that this work followed; empty when it followed none.
        created_ms, finished_ms: on the store's clock; expires_ms: when the store forgets the record.
        begin_by_ms: when work that has not begun expires, on the store's clock; 0 for never (E).
    """

    state: State
    fingerprint: str
    owner: str
    token: int = 0
    execution: str = ""
    message: bytes = b""
    until_ms: int = 0
    help_at_ms: int = 0
    helps: int = 0
    lost: int = 0
    retries: int = 0
    is_cancelled: bool = False
    progress: str = ""
    outcome: bytes = b""
    is_cached: bool = False
    is_replaced: bool = False
    next_message: bytes = b""
    next_owner: str = ""
    next_fingerprint: str = ""
    follows: str = ""
    created_ms: int = 0
    finished_ms: int = 0
    expires_ms: int = 0
    begin_by_ms: int = 0

    @property
    def is_held(self) -> bool:
        """Whether its message is on no queue until it is due (E, W)."""
        return self.state is not State.RUNNING and self.until_ms > 0 and self.help_at_ms <= self.until_ms


class Kind(StrEnum):
    """What the store answers to an operation."""

    ADMITTED = "admitted"
    HELP = "help"
    INFLIGHT = "inflight"
    REPLACED = "replaced"
    FOLLOWS = "follows"
    REPLAY = "replay"
    REPLAY_ERROR = "replay_error"
    DEAD = "dead"
    CONFLICT = "conflict"
    MISS = "miss"
    RUN = "run"
    BUSY = "busy"
    BUSY_SELF = "busy_self"
    HELD = "held"
    OK = "ok"
    CANCELLED = "cancelled"
    FENCED = "fenced"


@lean(frozen=True, slots=True)
class Answer:
    """The store's answer; a field that its kind does not need keeps its default.

    Args:
        owner: id of the message that stands for the work; empty after a MISS.
        state: of the record, after the operation; UNKNOWN after a MISS.
        token: the fencing token (RUN), or the one that wrote the outcome.
        wait_ms: how long the lease or the wait still lasts (BUSY, BUSY_SELF), or until the work is due (HELD).
        retries: retries so far (RUN).
        lost: takeovers so far (RUN); above 0, an earlier worker died or lost its lease.
        outcome: the envelope (REPLAY, REPLAY_ERROR, DEAD).
        message: what is to be published (HELP; OK, CANCELLED and DEAD where another run follows), or what is to
            be run in place of the message that was delivered (RUN); else empty.
        created_ms: when the work was first asked for (RUN); the same in every attempt.
    """

    kind: Kind
    owner: str = ""
    state: State = State.UNKNOWN
    token: int = 0
    wait_ms: int = 0
    retries: int = 0
    lost: int = 0
    outcome: bytes = b""
    message: bytes = b""
    created_ms: int = 0


class Duplicate(StrEnum):
    """What a message does to the same work that is queued or running."""

    JOIN = "join"
    REPLACE = "replace"
    FOLLOW = "follow"


@lean(frozen=True, slots=True)
class Admit:
    """Reserve the work for a message that is about to be published.

    Args:
        help_after_ms: how long its publisher, or the queue, may take before others may publish it.
        ttl_ms: how long the record outlives that time.
        publication: published in the same step when the work is admitted; None when the broker is elsewhere.
        duplicate: what the message does to work that is there: join it, replace the message of work that has not
            begun, or else also follow the run of work that has.
        quiet_ms: how long from now the work must not begin.
        replicas: how many of the store's replicas must have it before it is answered.
        is_held: it is not published before that time is over; then recovery, or a duplicate, does it.
        begin_by_ms: when the work expires unless it has begun, in ms since the Unix epoch; 0 for never.
    """

    fingerprint: str
    message_id: str
    message: bytes
    help_after_ms: int
    ttl_ms: int
    publication: Publication | None = None
    duplicate: Duplicate = Duplicate.JOIN
    quiet_ms: int = 0
    replicas: int = 0
    is_held: bool = False
    begin_by_ms: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether the message joins work that is there, and may begin at once and at any time; so it is with most."""
        return self.duplicate is Duplicate.JOIN and not (self.quiet_ms or self.is_held or self.begin_by_ms)


@lean(frozen=True, slots=True)
class Look:
    """Ask for the answer that `Admit` gives a message which joins, where that changes nothing; elsewhere it is a MISS.

    Args:
        is_ended: the work had an outcome when the caller last heard of it: only an outcome is asked for.
    """

    fingerprint: str
    is_ended: bool = False


@lean(frozen=True, slots=True)
class Confirm:
    """Say that the admitted message is on its queue; it may wait there for `help_after_ms`."""

    message_id: str
    help_after_ms: int
    ttl_ms: int


@lean(frozen=True, slots=True)
class Begin:
    """Ask for the right to run.

    Args:
        execution: a nonce of this delivery, so that a repeated request is known.
        retries: what the message says, used when the record is gone.
        max_lost: takeovers allowed before the work is dead.
        letter_ms: how long its dead letter is kept, should the work end here; 0 keeps none.
        begin_by_ms: when the message expires unless it has begun, in ms since the Unix epoch; 0 for never.
    """

    fingerprint: str
    message_id: str
    message: bytes
    execution: str
    retries: int
    lease_ms: int
    max_lost: int
    ttl_ms: int
    letter_ms: int = LETTER_TTL_MS
    begin_by_ms: int = 0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Renew a lease; with `progress`, also say how far the task is."""

    token: int
    lease_ms: int
    ttl_ms: int
    progress: str = ""


@lean(frozen=True, slots=True)
class Complete:
    """Store the outcome for `ttl_ms`, on `replicas` replicas too, and end the lease."""

    token: int
    outcome: bytes
    ttl_ms: int
    replicas: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """End the lease and wait `delay_ms` for the next attempt, of which `message` is the request.

    Args:
        help_after_ms: how long after that time the message may be late before others publish it.
        is_held: the message is not published before that time is over; then recovery, or a duplicate, does it.
    """

    token: int
    message: bytes
    retries: int
    delay_ms: int
    help_after_ms: int
    ttl_ms: int
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class Fail:
    """Store a failure for `ttl_ms`, its dead letter for `letter_ms`; unless cached, a new submission runs again."""

    token: int
    outcome: bytes
    is_cached: bool
    ttl_ms: int
    replicas: int = 0
    letter_ms: int = LETTER_TTL_MS


@dataclass(frozen=True, slots=True)
class Release:
    """Give the right to run back unused; the message is on its queue again.

    Args:
        is_forgotten: there is no message; the record is removed.
    """

    token: int
    help_after_ms: int
    ttl_ms: int
    is_forgotten: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """Store a cancellation where the work has not begun; ask it to stop where it runs.

    Args:
        spares_running: leave work that runs as it is, with what follows it.
    """

    ttl_ms: int
    spares_running: bool = False


@dataclass(frozen=True, slots=True)
class Help:
    """Take the message of work that nobody looks after, to publish it again."""

    help_after_ms: int
    ttl_ms: int


Operation = Admit | Look | Confirm | Begin | Heartbeat | Complete | Wait | Fail | Release | Cancel | Help | OnLetter


def replicas_wanted(operation: Operation) -> int:
    """How many replicas must have the operation's effect before it is answered; 0 where none is asked for."""
    return operation.replicas if isinstance(operation, (Admit, Complete, Fail)) else 0
