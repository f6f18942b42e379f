"""Something else than tasks of `programs/work.py`: a program's own load, whose work it verifies itself."""

from queues.bench.contenders import Contender
from queues.bench.measure import Sample
from queues.bench.party import Party
from queues.bench.scenarios.workers import MB


class Loading:
    """Items a second of the program's verb `load`, which raises where one was not done.

    Args:
        count: how many items in a round.
    """

    def __init__(self, name: str, count: int) -> None:
        self.name = name
        self._count = count

    def suits(self, contender: Contender, offers: frozenset[str]) -> bool:
        """Whether it is made for that."""
        return "load" in offers and self.name in contender.only

    def prepare(self, party: Party) -> None:
        """Start the worker, and let it do as much as in a round."""
        party.start_worker(1)
        party.ask(do="load", count=self._count)
        party.pause_workers()

    def measure(self, party: Party, round_number: int) -> Sample:
        """One round."""
        party.resume_workers()
        server_s, worker_s = party.server_cpu_s, party.worker_cpu_s
        told = party.ask(do="load", count=self._count)
        worker_s, server_s = party.worker_cpu_s - worker_s, party.server_cpu_s - server_s
        party.pause_workers()
        value, costs = self._count / told["seconds"], (told["cpu_s"], worker_s, server_s)
        return Sample(self.name, party.contender.name, round_number, value, self._count, *costs)


class PeakMemory:
    """Megabytes of a worker while it does one item of the program's load: the highest of each process, added up."""

    def __init__(self, name: str) -> None:
        self.name = name

    def suits(self, contender: Contender, offers: frozenset[str]) -> bool:
        """Whether it is made for that."""
        return {"load", "worker"} <= offers and self.name in contender.only

    def prepare(self, party: Party) -> None:
        """Nothing: each round has a worker of its own."""

    def measure(self, party: Party, round_number: int) -> Sample:
        """One worker."""
        party.start_worker(1)
        party.ask(do="load", count=1)
        value = sum(worker.peak_memory_bytes for worker in party.workers) / MB
        party.stop_workers()
        return Sample(self.name, party.contender.name, round_number, value, 1, unit="MB")
