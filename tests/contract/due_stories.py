"""Stories of work that is due late, or by a time, told to the scripts beside the machine."""

from queues.idempotency.state import Duplicate
from tests.contract.lockstep import Lockstep, Model
from tests.contract.operations import (
    BEGIN_BY_MS,
    DELAY_MS,
    LEASE_MS,
    admit,
    begin,
    cancel,
    expiring,
    fail,
    following,
    help_,
    hold,
    holding,
    late,
    replacing,
)

REPLACE = Duplicate.REPLACE


def held_work(lockstep: Lockstep, model: Model) -> None:
    """What is on no queue waits for its own message, is kept for thirty days, and stays held when it is replaced."""
    for newer in (replacing("m2", "f2"), replacing("m2", "f2", quiet_ms=2 * DELAY_MS), holding("m2", "f2", REPLACE)):
        lockstep.apply(model, holding("m1", "f1"))
        lockstep.apply(model, newer)
        for owner in ("m1", "m2"):
            lockstep.apply(model, begin(owner, "x1", "f2"))
        lockstep.clock.advance(2 * DELAY_MS)
        for operation in (begin("m2", "x2", "f2"), help_(), begin("m2", "x3", "f2")):
            lockstep.apply(model, operation)
        for operation in (hold(token_of(model)), begin("m3", "x4", "f2"), replacing("m4", "f4", quiet_ms=1)):
            lockstep.apply(model, operation)
        lockstep.clock.advance(DELAY_MS)
        for owner in ("m4", "m2"):
            lockstep.apply(model, begin(owner, "x5", "f4"))
        lockstep.settle()
        lockstep.expire(model)
    lockstep.apply(model, admit("m1", "f1"))
    lockstep.apply(model, holding("m2", "f2", REPLACE))
    lockstep.apply(model, begin("m1", "x1", "f1"))
    lockstep.settle()


def expired_work(lockstep: Lockstep, model: Model) -> None:
    """What has not begun by its time ends, makes way for others' messages, and leaves nothing to them."""
    first_ms = lockstep.clock.at_ms
    spent = (fail, lambda _: late("m2", "x2", "f1"))
    followed = (lambda _: cancel(), lambda _: following("m3", "f1"), LEASE_MS, lambda _: late("m2", "x2", "f1"))
    for before_ms in (1, 0):
        for then in (late("m1"), begin("m2"), late("m2"), help_(1), admit("m2"), admit("m1"), expiring("m2")):
            lockstep.clock.at_ms = BEGIN_BY_MS[0] - 9
            lockstep.apply(model, expiring("m1"))
            lockstep.apply(model, expiring("m3", duplicate=REPLACE))
            lockstep.clock.at_ms = BEGIN_BY_MS[0] - before_ms
            lockstep.apply(model, then)
            lockstep.apply(model, begin("m1", "x2"))
            lockstep.settle()
            lockstep.expire(model)
        lockstep.clock.at_ms = BEGIN_BY_MS[0] - before_ms
        lockstep.apply(model, late("m1"))
        lockstep.expire(model)
        lockstep.clock.at_ms = BEGIN_BY_MS[0] - 9
        lockstep.apply(model, expiring("m1"))
        lockstep.apply(model, replacing("m2"))
        lockstep.clock.at_ms = BEGIN_BY_MS[0] - before_ms
        lockstep.apply(model, late("m1", "x2"))
        lockstep.settle()
        lockstep.expire(model)
    for ending in (spent, followed):
        lockstep.apply(model, begin("m1", "x1", "f1", retries=2))
        first = token_of(model)
        for step in ending:
            if isinstance(step, int):
                lockstep.clock.advance(step)
            else:
                lockstep.apply(model, step(first))
        lockstep.apply(model, fail(first))
        lockstep.settle()
        lockstep.expire(model)
    lockstep.clock.at_ms = first_ms


def token_of(model: Model) -> int:
    """The last fencing token; 0 before the first."""
    return model.record.token if model.record else 0
