"""How fast repetitions are answered, while the first runs and when it is done."""

from queues.bench.contenders import Contender
from queues.bench.measure import Sample
from queues.bench.party import Party
from queues.bench.programs import ledger
from queues.bench.scenarios.checking import WITHIN_S, Numbers, check, warm


class Repeating:
    """Repetitions a second of one task; none of them may take effect.

    Args:
        count: how many in a round.
        is_done: whether the first is done when they come; else it runs.
    """

    def __init__(self, name: str, count: int, *, is_done: bool) -> None:
        self.name = name
        self._count = count
        self._is_done = is_done
        self._numbers = Numbers()

    def suits(self, contender: Contender, offers: frozenset[str]) -> bool:
        """Whether repetitions are answered; those of work that is done only by what keeps outcomes in Redis."""
        verbs = {"repeat", "run"} if self._is_done else {"repeat", "worker"}
        return verbs <= offers and "drain" not in offers

    def prepare(self, party: Party) -> None:
        """Start the worker, and let it do some tasks."""
        if "worker" in party.offers:
            warm(party, self._numbers, 2)
            party.pause_workers()

    def measure(self, party: Party, round_number: int) -> Sample:
        """One round, while the worker stands still."""
        kind, number, done = "noop" if self._is_done else "hold", self._numbers.take(1)[0], ledger.count(party.ledger)
        party.resume_workers()
        if self._is_done:
            party.ask(do="run", kind=kind, number=number)
        else:
            party.ask(do="send", kind=kind, start=number, count=1)
            party.wait_for(done + 2, WITHIN_S)
        party.pause_workers()
        before_s = party.server_cpu_s
        told = party.ask(do="repeat", kind=kind, number=number, count=self._count)
        server_s = party.server_cpu_s - before_s
        ledger.released_by(party.ledger, number).touch()
        if party.workers:
            self._check(party, number, done)
        value, client_s = self._count / told["seconds"], told["cpu_s"]
        return Sample(self.name, party.contender.name, round_number, value, self._count, client_s, 0.0, server_s)

    def _check(self, party: Party, number: int, done: int) -> None:
        """Another task, which a repetition that was queued would come before, and then a look at the effects."""
        last, own = self._numbers.take(1)[0], 1 if self._is_done else 2
        party.resume_workers()
        party.ask(do="send", kind="noop", start=last, count=1)
        party.wait_for(done + own + 1, WITHIN_S)
        party.pause_workers()
        effects = [effect for effect in ledger.effects(party.ledger, done) if effect.number > 0]
        check(party, (number, last), effects)
