"""That every task took effect once."""

from collections import Counter
from collections.abc import Sequence

from queues.bench.party import BenchError, Party
from queues.bench.programs import ledger

WITHIN_S = 120.0
WARM_UP = 200


class Numbers:
    """Numbers that no other task has."""

    def __init__(self, first: int = 1) -> None:
        self._next = first

    def take(self, count: int) -> range:
        """The next ones."""
        numbers = range(self._next, self._next + count)
        self._next += count
        return numbers


def check(party: Party, sent: Sequence[int], effects: Sequence[ledger.Effect]) -> None:
    """Return if the effects are those of what was sent, each once.

    Raises:
        BenchError: some are missing, or there are more.
    """
    counts = Counter(effect.number for effect in effects)
    lost = sum(number not in counts for number in sent)
    doubled = sum(count > 1 for count in counts.values())
    expected = set(sent)
    strange = sum(number not in expected for number in counts)
    if lost or doubled or strange:
        msg = f"{party.contender.name}: of {len(sent)} tasks {lost} were lost, {doubled} doubled, {strange} not sent"
        raise BenchError(msg)


def fastest(party: Party) -> str:
    """The verb that submits many."""
    return "send_many" if "send_many" in party.offers else "send"


def warm(party: Party, numbers: Numbers, concurrency: int, kind: str = "noop") -> None:
    """Start a worker, and let it do some tasks."""
    party.start_worker(concurrency)
    done = ledger.count(party.ledger)
    sent = numbers.take(WARM_UP)
    party.ask(do=fastest(party), kind=kind, start=sent.start, count=len(sent))
    if "drain" in party.offers:
        party.ask(do="drain")
    party.wait_for(done + WARM_UP, WITHIN_S)
