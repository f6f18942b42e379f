"""What other packages bring to a run: contenders, scenarios and targets, named on the command line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from queues.bench.contenders import Contender
from queues.bench.scenario import Scenario
from queues.bench.targets import Target
from queues.doctor.application import imported
from queues.errors import InvalidOptionError


def _none(_: float) -> Sequence[Scenario]:
    return ()


@dataclass(frozen=True, slots=True)
class Extension:
    """Something to be measured beside what is in this package, which imports none of it.

    Args:
        contenders: their `program` may be the dotted name of any module that offers what `programs/__init__.py` lists.
        scenarios: made with the part of a round's work that is wanted, 1 or less; no names that others have.
        targets: of what its own scenarios measure, or of its contenders in others.
    """

    contenders: Sequence[Contender] = ()
    scenarios: Callable[[float], Sequence[Scenario]] = _none
    targets: Sequence[Target] = ()


def extension(text: str) -> Extension:
    """The extension that `MODULE:NAME` names; a single `Contender` is one too.

    Raises:
        InvalidOptionError: it cannot be imported, or is none.
    """
    if ":" not in text:
        msg = f"{text!r} names no extension: MODULE:NAME is expected"
        raise InvalidOptionError(msg)
    found = imported(text)
    if isinstance(found, Contender):
        return Extension((found,))
    if not isinstance(found, Extension):
        msg = f"{text!r} is a {type(found).__name__}: an Extension or a Contender is expected"
        raise InvalidOptionError(msg)
    return found
