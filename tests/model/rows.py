"""Everything that is explored: the protocol as the code is, its limits, and the controls."""

from dataclasses import dataclass, replace

from tests.model import controls
from tests.model.setup import OURS, Protocol, Sent, Setup
from tests.model.world import (
    BEGAN_LATE,
    LATE_WRITE,
    LOST_WORK,
    OVERWRITTEN,
    PROPERTIES,
    TWO_EFFECTS,
    TWO_LEASES,
    UNANSWERED,
    WRONG_ANSWER,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One exploration.

    Args:
        label: what is special about the setup.
        breaks: the properties that must break; none for a protocol that keeps them all.
        judged: the properties that the row is about.
        is_deep: takes more than some seconds.
    """

    protocol: Protocol
    label: str
    setup: Setup
    breaks: tuple[str, ...] = ()
    is_deep: bool = False
    judged: tuple[str, ...] = PROPERTIES

    @property
    def name(self) -> str:
        """Names the row in tests and tables."""
        return f"{self.protocol.name}: {self.label}"


ONE, PLAIN, LINKED = (Sent(),), Sent(), Sent(is_linked=True)
CELERY = replace(OURS, name="onceq, a Celery app's task", style="celery")
DRAMATIQ = replace(OURS, name="onceq, a Dramatiq app's actor", style="dramatiq", admits=False)
MANUAL = replace(OURS, name="onceq, manual locks", admits=False, forgets=True)


RETRY_LOST = Setup((PLAIN, LINKED), faults=1, is_one_script=True)
FAILURE_FENCED = Setup((LINKED, LINKED), faults=1, max_retries=0)
CANCELLED_LATE = Setup(ONE, faults=2, cancels=1, max_retries=0, is_one_script=True)
UNATTENDED = Setup(ONE, faults=2, max_retries=None, is_attended=False, is_one_script=True)
UNPUBLISHED = Setup(ONE, faults=2, max_retries=None, is_attended=False)
LOCKS = Setup((LINKED, LINKED), faults=0, max_retries=None)
HELD_LINKED = Setup((PLAIN, LINKED), faults=1, max_retries=None, is_held=True)

KEPT = (
    Row(OURS, "a message, 2 faults", Setup(messages=ONE, max_retries=0)),
    Row(OURS, "a message and its duplicate, 1 fault", Setup(faults=1)),
    Row(OURS, "a held message, 2 faults", Setup(ONE, faults=2, max_retries=0, is_held=True)),
    Row(OURS, "a held and a linked message, 1 fault", HELD_LINKED),
    Row(OURS, "a held message with a held retry, 1 fault", Setup(ONE, faults=1, is_held=True)),
    Row(OURS, "a message that expires, 2 faults", Setup(ONE, faults=2, max_retries=0, expires=1)),
    Row(OURS, "a message and its duplicate expire, 1 fault", Setup(faults=1, expires=2)),
    Row(OURS, "a held message and its retry expire, 1 fault", Setup(ONE, faults=1, is_held=True, expires=2)),
    Row(OURS, "a plain and a linked message expire", Setup((PLAIN, LINKED), 1, 1, None, expires=1), is_deep=True),
    Row(OURS, "a plain and a linked message, 1 fault", Setup((PLAIN, LINKED), faults=1, max_retries=None)),
    Row(OURS, "a message with a retry, 2 faults", Setup(messages=ONE), is_deep=True),
    Row(OURS, "two keys, 1 fault", Setup((PLAIN, Sent(key=1)), faults=1, max_retries=None), is_deep=True),
    Row(OURS, "three messages, 1 fault", Setup((PLAIN, PLAIN, LINKED), 1, 0, None, is_one_script=True), is_deep=True),
    Row(OURS, "a message, 3 faults", Setup(ONE, faults=3, max_retries=0, is_one_script=True), is_deep=True),
    Row(OURS, "a message, 3 faults, 2 lost", Setup(ONE, 3, 0, None, max_lost=2, is_one_script=True), is_deep=True),
    Row(OURS, "two linked messages, 2 faults", Setup((LINKED, LINKED), max_retries=None), is_deep=True),
    Row(CELERY, "a failure is fenced", FAILURE_FENCED),
    Row(DRAMATIQ, "a failure is fenced", FAILURE_FENCED),
    Row(OURS, "a pause until the record expires", UNATTENDED),
    Row(OURS, "a linked message's retry is not taken, a duplicate runs", RETRY_LOST, is_deep=True),
    Row(OURS, "cancelled, and its lease is over", CANCELLED_LATE, is_deep=True),
    Row(CELERY, "a plain and a linked message, a cancel", Setup((PLAIN, LINKED), 1, 1, 0), is_deep=True),
    Row(DRAMATIQ, "two linked messages, a cancel", Setup((LINKED, LINKED), 1, 1, 0), is_deep=True),
)

LIMITS = (
    Row(OURS, "not published, no worker until the record expires", UNPUBLISHED, (LOST_WORK,)),
    Row(MANUAL, "given back and taken in one tick", LOCKS, (TWO_LEASES,), judged=(TWO_LEASES,)),
)
"""What is not guaranteed. The first takes thirty days without a worker, `machine.UNPUBLISHED_TTL_MS`; the second is
the tick's: Redis counts tokens in microseconds."""

UNMENDED = (
    Row(
        replace(CELERY, name="ours, ignoring a fenced failure of Celery's", defers_fenced_failure=False),
        "a failure is fenced",
        FAILURE_FENCED,
        (UNANSWERED,),
    ),
    Row(
        replace(DRAMATIQ, name="ours, reporting a fenced failure of Dramatiq's", defers_fenced_failure=False),
        "a failure is fenced",
        FAILURE_FENCED,
        (WRONG_ANSWER,),
    ),
    Row(
        replace(OURS, name="ours, acking a run whose record is gone", defers_forgotten=False),
        "a pause until the record expires",
        UNATTENDED,
        (LOST_WORK,),
    ),
    Row(
        replace(OURS, name="ours, leaving a retry to recovery", insists_on_retry=False),
        "a duplicate runs meanwhile",
        RETRY_LOST,
        (UNANSWERED,),
        is_deep=True,
    ),
)
"""The protocol as it was before the model was asked."""

NX = Protocol(
    "SET NX with a TTL, skip when locked",
    apply=controls.unfenced,
    admits=False,
    beats=False,
    recovers=False,
    skips=True,
)
EXPIRY = replace(NX, name="in-progress expiry without a fence", skips=False)
SKIPS = Protocol("lease and fence, skip when busy", admits=False, recovers=False, skips=True)
REENTRANT = Protocol("lease and fence, re-entered by message id", apply=controls.reentrant)

CALM = Setup(messages=ONE, faults=1, max_retries=None)
BROKEN = (
    *UNMENDED,
    Row(NX, "1 fault", CALM, (LOST_WORK, OVERWRITTEN)),
    Row(REENTRANT, "1 fault", CALM, (TWO_EFFECTS, TWO_LEASES)),
    Row(EXPIRY, "1 fault", CALM, (OVERWRITTEN, LATE_WRITE)),
    Row(SKIPS, "1 fault", CALM, (LOST_WORK,)),
    Row(
        Protocol("ours, acking before the copy", acks_first=True),
        "a plain and a linked message, 1 fault",
        Setup((PLAIN, LINKED), faults=1, max_retries=None),
        (UNANSWERED,),
    ),
    Row(
        Protocol("ours, completing without the token", apply=controls.completed_by_anyone),
        "1 fault",
        CALM,
        (LATE_WRITE,),
    ),
    Row(Protocol("ours, without recovery", recovers=False), "1 fault", CALM, (LOST_WORK,)),
    Row(
        Protocol("ours, running what is late", apply=controls.begun_late),
        "1 fault",
        Setup(ONE, faults=1, max_retries=None, expires=1),
        (BEGAN_LATE,),
    ),
    Row(
        Protocol("ours, admitting a failed message again", apply=controls.admitted_again),
        "1 fault",
        Setup(ONE, faults=1, max_retries=0, is_one_script=True),
        (OVERWRITTEN,),
    ),
)
"""Known wrong protocols, and ours with one edit: if one of them passes, the explorer is blind."""
