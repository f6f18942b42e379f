"""Fan-out and join."""

from queues.bench.contenders import Contender
from queues.bench.measure import Sample
from queues.bench.party import Party
from queues.bench.programs import ledger
from queues.bench.scenarios.checking import WITHIN_S, Numbers, check, warm


class Join:
    """Milliseconds from a submission of many to the last of their outcomes, in the hands of the producer."""

    def __init__(self, name: str, count: int) -> None:
        self.name = name
        self._count = count
        self._numbers = Numbers()

    def suits(self, contender: Contender, offers: frozenset[str]) -> bool:
        """Whether outcomes can be waited for."""
        return {"join", "worker"} <= offers

    def prepare(self, party: Party) -> None:
        """Start the worker."""
        warm(party, self._numbers, 2)
        party.pause_workers()

    def measure(self, party: Party, round_number: int) -> Sample:
        """One round."""
        done, sent = ledger.count(party.ledger), self._numbers.take(self._count)
        party.resume_workers()
        server_s, worker_s = party.server_cpu_s, party.worker_cpu_s
        told = party.ask(do="join", kind="noop", start=sent.start, count=self._count)
        worker_s, server_s = party.worker_cpu_s - worker_s, party.server_cpu_s - server_s
        party.wait_for(done + self._count, WITHIN_S)
        party.pause_workers()
        check(party, sent, ledger.effects(party.ledger, done))
        value = told["seconds"] * 1000
        costs = (told["cpu_s"], worker_s, server_s)
        return Sample(self.name, party.contender.name, round_number, value, self._count, *costs, unit="ms")
