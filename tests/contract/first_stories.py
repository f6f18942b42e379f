"""Stories of calls that look like most others, but for one thing; `directed.py` tells them."""

import itertools
from dataclasses import replace

from tests.contract.lockstep import Lockstep, Model
from tests.contract.operations import (
    HELP_MS,
    admit,
    begin,
    cancel,
    complete,
    fail,
    following,
    help_,
    holding,
    replacing,
)


def work_that_was_helped(lockstep: Lockstep, model: Model) -> None:
    """Its run knows of no help any more."""
    lockstep.apply(model, admit())
    lockstep.clock.advance(HELP_MS)
    lockstep.apply(model, help_())
    lockstep.apply(model, begin())
    lockstep.settle()


def work_that_was_replaced_by_the_same(lockstep: Lockstep, model: Model) -> None:
    """The newer message is run, although its arguments are equal."""
    lockstep.apply(model, admit())
    lockstep.apply(model, replacing("m2"))
    lockstep.apply(model, begin())
    lockstep.apply(model, complete(_token(model)))
    lockstep.settle()


def work_after_a_failure_in_the_same_ms(lockstep: Lockstep, model: Model) -> None:
    """Its token is higher than that of the run that failed."""
    lockstep.apply(model, begin())
    lockstep.apply(model, fail(_token(model)))
    lockstep.apply(model, admit("m2"))
    lockstep.apply(model, begin("m2", "x2"))
    lockstep.settle()


def work_that_is_held_until_now(lockstep: Lockstep, model: Model) -> None:
    """It is overdue at once."""
    lockstep.apply(model, replace(holding(), quiet_ms=0))
    lockstep.apply(model, admit("m2"))
    lockstep.settle()


def work_that_was_asked_for_otherwise(lockstep: Lockstep, model: Model) -> None:
    """Its own message with other arguments does not run it."""
    lockstep.apply(model, admit("m1", "f1"))
    lockstep.apply(model, begin("m1", "x1", "f2"))
    lockstep.settle()


def a_cancelled_run_with_a_fingerprint(lockstep: Lockstep, model: Model) -> None:
    """Its outcome counts, as any cancelled run's does."""
    lockstep.apply(model, begin("m1", "x1", "f1"))
    lockstep.apply(model, cancel())
    lockstep.apply(model, complete(_token(model)))
    lockstep.settle()


def a_run_that_followed_another(lockstep: Lockstep, model: Model) -> None:
    """The message of the run before it does not run again."""
    lockstep.apply(model, begin())
    lockstep.apply(model, following("m2"))
    lockstep.apply(model, complete(_token(model)))
    lockstep.apply(model, begin("m2", "x2"))
    lockstep.apply(model, complete(_token(model)))
    lockstep.apply(model, begin())
    lockstep.settle()


def a_completion_long_after(lockstep: Lockstep, model: Model) -> None:
    """When it was asked for and when it ended can be told from its record, whatever was returned and by whose id."""
    returned = (b'{"ok":null}', b'{"ok":1}')
    for owner, outcome, fingerprint in itertools.product(("m1", f"m1-of-{model.digest}"), returned, ("", "f1")):
        lockstep.apply(model, admit(owner, fingerprint))
        lockstep.clock.advance(1_234)
        lockstep.apply(model, begin(owner, fingerprint=fingerprint))
        lockstep.clock.advance(567)
        lockstep.apply(model, complete(_token(model), outcome))
        lockstep.apply(model, admit("m2", fingerprint))
        lockstep.apply(model, begin(owner, "x2", fingerprint))
        lockstep.settle()
        lockstep.expire(model)


def _token(model: Model) -> int:
    return model.record.token if model.record else 0


STORIES = (
    work_that_was_helped,
    work_that_was_replaced_by_the_same,
    work_after_a_failure_in_the_same_ms,
    work_that_is_held_until_now,
    work_that_was_asked_for_otherwise,
    a_cancelled_run_with_a_fingerprint,
    a_run_that_followed_another,
    a_completion_long_after,
)
