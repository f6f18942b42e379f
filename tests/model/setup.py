"""What is explored: the messages, how much may go wrong, how long things take, and how a protocol acts."""

from dataclasses import dataclass

from queues.idempotency import machine
from tests.model.records import Apply

LEASE, LOCK_TTL, TTL = 2, 2, 2
PUBLISH_WITHIN, QUEUE_WAIT = 1, 2
RETRY_DELAY, STORE_AWAY, BUSY_WAIT, LATE, HELD = 1, 1, 1, 2, 1
"""Ticks. A lease takes two, so that there is a moment inside it; everything else is as short as keeps its meaning."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that may be sent.

    Args:
        key: which work it asks for.
        is_linked: something waits for this very message: it is published whatever the record says.
    """

    key: int = 0
    is_linked: bool = False


@dataclass(frozen=True, slots=True)
class Setup:
    """How much is explored.

    Args:
        faults: crashes, pauses, losses and repetitions in one history.
        cancels: how often a user may cancel.
        max_retries: attempts after the first; None for a task that never raises.
        max_lost: takeovers before the work is dead.
        is_attended: some worker always looks after overdue work before its record expires.
        is_one_script: the queue is in the records' Redis: admit and publish are one step.
        is_held: plain messages are due late: the record holds them, and their retries.
        expires: ticks from the start within which the messages must begin; 0 for ever.
    """

    messages: tuple[Sent, ...] = (Sent(), Sent())
    faults: int = 2
    cancels: int = 0
    max_retries: int | None = 1
    max_lost: int = 1
    is_attended: bool = True
    is_one_script: bool = False
    is_held: bool = False
    expires: int = 0

    @property
    def keys(self) -> tuple[int, ...]:
        """The key of each message."""
        return tuple(sent.key for sent in self.messages)


@dataclass(frozen=True, slots=True)
class Protocol:
    """How the two sides act.

    Args:
        apply: what the store does.
        style: whose retries and failures they are: `native` ours, `celery` or `dramatiq` those of a foreign task.
        admits: whether producers ask the store first.
        beats: whether leases are renewed.
        recovers: whether overdue work is published again.
        skips: a delivery that finds the work running is answered "skipped".
        acks_first: a deferred delivery is acked before its copy is published.
        retries_first: a retry is published before it is written that it is waited for.
        defers_forgotten: a fenced run whose record is gone is deferred; else it is acked, as any fenced plain one is.
        defers_fenced_failure: so is a fenced failure of a foreign task; else Celery ignores, and Dramatiq reports it.
        forgets: a run may be given back with its record, as `release_lock` does.
        insists_on_retry: a retry that the broker does not take is published until it does; else recovery does it.
    """

    name: str
    apply: Apply = machine.apply
    style: str = "native"
    admits: bool = True
    beats: bool = True
    recovers: bool = True
    skips: bool = False
    acks_first: bool = False
    retries_first: bool = False
    defers_forgotten: bool = True
    defers_fenced_failure: bool = True
    forgets: bool = False
    insists_on_retry: bool = True


OURS = Protocol("onceq")
"""As the code is."""
