"""Rows of the operation table about work that is due late, or by a time."""

from dataclasses import dataclass, replace

from queues.idempotency.state import Kind, State
from tests.contract.operations import (
    DELAY_MS,
    Step,
    admit,
    begin,
    cancel,
    confirm,
    expiring,
    fail,
    help_,
    hold,
    holding,
    late,
    release,
    replacing,
    wait,
)

RUNNING = (admit(), confirm(), begin())
SPENT = (*RUNNING, fail)
HELD = (holding(),)
HELD_RETRY = (*RUNNING, hold)
EXPIRED = (expiring(), 60_000)
BEGUN = (expiring(), begin())
KEPT = (expiring(), replacing("m2"))


@dataclass(frozen=True)
class Row:
    """From `before`, `operation` is answered with `kind` and leaves `state`."""

    name: str
    before: tuple[Step, ...]
    operation: Step
    kind: Kind
    state: State


DUE_ROWS = (
    Row("admit: held", HELD, admit("m2"), Kind.INFLIGHT, State.QUEUED),
    Row("admit: held, about to be due", (*HELD, DELAY_MS - 1), admit("m2"), Kind.INFLIGHT, State.QUEUED),
    Row("admit: held, due", (*HELD, DELAY_MS), admit("m2"), Kind.HELP, State.QUEUED),
    Row("admit: expired, another message", EXPIRED, admit("m2"), Kind.ADMITTED, State.QUEUED),
    Row("admit: expired, same message", EXPIRED, admit(), Kind.ADMITTED, State.QUEUED),
    Row("begin: about to expire", (expiring(), 59_999), late(), Kind.RUN, State.RUNNING),
    Row("begin: expired, own", EXPIRED, late(), Kind.REPLAY_ERROR, State.FAILED),
    Row("begin: expired, another's", EXPIRED, begin("m2"), Kind.RUN, State.RUNNING),
    Row("begin: expired, another's that is late", EXPIRED, late("m2"), Kind.REPLAY_ERROR, State.FAILED),
    Row("begin: nothing, late", (60_000,), late(), Kind.REPLAY_ERROR, State.FAILED),
    Row("begin: nothing, a late retry", (60_000,), replace(late(), retries=1), Kind.RUN, State.RUNNING),
    Row("begin: failed, another's that is late", (60_000, *SPENT), late("m2"), Kind.REPLAY_ERROR, State.FAILED),
    Row("begin: it had begun before", (*BEGUN, release, 60_000), late("m1", "x2"), Kind.RUN, State.RUNNING),
    Row("begin: it waits for a retry", (*BEGUN, wait, 60_000), late("m1", "x2"), Kind.RUN, State.RUNNING),
    Row("begin: its worker died", (*BEGUN, 60_000), late("m1", "x2"), Kind.RUN, State.RUNNING),
    Row("begin: replaced by what does not expire", (*KEPT, 60_000), late(), Kind.RUN, State.RUNNING),
    Row("cancel: expired", EXPIRED, cancel(), Kind.OK, State.FAILED),
    Row("help: expired", EXPIRED, help_(), Kind.OK, State.FAILED),
    Row("begin: held, own", (*HELD, DELAY_MS - 1), begin(), Kind.HELD, State.QUEUED),
    Row("begin: held, another's", HELD, begin("m2"), Kind.HELD, State.QUEUED),
    Row("begin: held, due, own", (*HELD, DELAY_MS), begin(), Kind.RUN, State.RUNNING),
    Row("begin: held, due, another's", (*HELD, DELAY_MS), begin("m2"), Kind.HELD, State.QUEUED),
    Row("begin: held, published, another's", (*HELD, DELAY_MS, help_()), begin("m2"), Kind.RUN, State.RUNNING),
    Row("begin: held retry, own", HELD_RETRY, begin("m1", "x2"), Kind.RUN, State.RUNNING),
    Row("begin: held retry, another's", HELD_RETRY, begin("m2", "x2"), Kind.HELD, State.WAITING),
    Row("begin: held retry, due, another's", (*HELD_RETRY, DELAY_MS), begin("m2"), Kind.HELD, State.WAITING),
    Row("cancel: held", HELD, cancel(), Kind.OK, State.FAILED),
    Row("help: held", (*HELD, DELAY_MS - 1), help_(), Kind.OK, State.QUEUED),
    Row("help: held, due", (*HELD, DELAY_MS), help_(), Kind.HELP, State.QUEUED),
    Row("help: held retry, due", (*HELD_RETRY, DELAY_MS), help_(), Kind.HELP, State.WAITING),
)
