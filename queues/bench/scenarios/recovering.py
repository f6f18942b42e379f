"""How long the work of a killed worker waits for another."""

import time

from queues.bench.contenders import Contender
from queues.bench.measure import Sample
from queues.bench.party import BenchError, Party
from queues.bench.programs import ledger
from queues.bench.scenarios.checking import WITHIN_S, Numbers, check

AT_ONCE = 8


class Recovering:
    """Leases from `kill -9` of a whole worker until its task runs again elsewhere; it must run no third time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._numbers = Numbers()

    def suits(self, contender: Contender, offers: frozenset[str]) -> bool:
        """Whether it says how long a lease is."""
        return "BENCH_LEASE_S" in contender.settings

    def prepare(self, party: Party) -> None:
        """Nothing: each round brings its workers up to two."""

    def measure(self, party: Party, round_number: int) -> Sample:
        """One kill."""
        while len(party.workers) < 2:
            party.start_worker(2)
        self._wait_for_both(party)
        done, number = ledger.count(party.ledger), self._numbers.take(1)[0]
        party.ask(do="send", kind="hold", start=number, count=1)
        party.wait_for(done + 2, WITHIN_S)
        first = ledger.effects(party.ledger, done)
        (victim,) = (w for w in party.workers if w.pgid in {-effect.number for effect in first})
        party.workers.remove(victim)
        killed_ns = time.monotonic_ns()
        victim.kill()
        party.wait_for(done + 4, WITHIN_S)
        again = ledger.effects(party.ledger, done + 2)
        ledger.released_by(party.ledger, number).touch()
        self._wait_for_end(party, number)
        check(party, (number,), [effect for effect in again if effect.number == number])
        lease_s = float(party.contender.settings["BENCH_LEASE_S"])
        value = (again[0].at_ns - killed_ns) / 1e9 / lease_s
        return Sample(self.name, party.contender.name, round_number, value, 1, unit="leases")

    def _wait_for_both(self, party: Party) -> None:
        """Submit until each worker has answered."""
        missing, begun, asked = {worker.pgid for worker in party.workers}, ledger.count(party.ledger), 0
        deadline = time.monotonic() + WITHIN_S
        while missing:
            if time.monotonic() > deadline:
                msg = f"{party.contender.name}: one of two workers takes no task"
                raise BenchError(msg)
            sent = self._numbers.take(AT_ONCE)
            party.ask(do="send", kind="where", start=sent.start, count=AT_ONCE)
            asked += AT_ONCE
            party.wait_for(begun + asked, WITHIN_S)
            missing -= {-effect.number for effect in ledger.effects(party.ledger, begun)}

    def _wait_for_end(self, party: Party, number: int) -> None:
        """Return when the outcome is stored: the same submission is answered by it."""
        party.ask(do="run", kind="hold", number=number)
