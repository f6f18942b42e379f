"""What a worker takes before it does anything: time to start, and memory."""

import time

from queues.bench.contenders import Contender
from queues.bench.measure import Sample
from queues.bench.party import Party
from queues.bench.programs import ledger
from queues.bench.scenarios.checking import WITHIN_S, Numbers, check, warm

MB = 1_000_000


class StartUp:
    """Milliseconds from the start of the worker to the effect of a task that waits."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._numbers = Numbers()

    def suits(self, contender: Contender, offers: frozenset[str]) -> bool:
        """Whether it has workers."""
        return "worker" in offers

    def prepare(self, party: Party) -> None:
        """Start one, so that its files are in memory."""
        warm(party, self._numbers, 2)
        party.stop_workers()

    def measure(self, party: Party, round_number: int) -> Sample:
        """One start."""
        done, sent = ledger.count(party.ledger), self._numbers.take(1)
        party.ask(do="send", kind="noop", start=sent.start, count=1)
        begun_ns = time.monotonic_ns()
        party.start_worker(2)
        party.wait_for(done + 1, WITHIN_S)
        effects, worker_s = ledger.effects(party.ledger, done), party.worker_cpu_s
        party.stop_workers()
        check(party, sent, effects)
        value = (effects[0].at_ns - begun_ns) / 1e6
        return Sample(self.name, party.contender.name, round_number, value, 1, worker_cpu_s=worker_s, unit="ms")


class Memory:
    """Megabytes of all processes of a worker that has done some tasks, shared pages counted once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._numbers = Numbers()

    def suits(self, contender: Contender, offers: frozenset[str]) -> bool:
        """Whether it has workers."""
        return "worker" in offers

    def prepare(self, party: Party) -> None:
        """Let each worker be measured alone: pages that it shares with another contender's would count half."""

    def measure(self, party: Party, round_number: int) -> Sample:
        """One worker."""
        warm(party, self._numbers, 2)
        value = sum(worker.memory_bytes for worker in party.workers) / MB
        party.stop_workers()
        return Sample(self.name, party.contender.name, round_number, value, 1, unit="MB")
