"""How fast a worker gets through a backlog."""

from queues.bench.contenders import Contender
from queues.bench.measure import Sample
from queues.bench.party import Party
from queues.bench.programs import ledger
from queues.bench.scenarios import checking
from queues.bench.scenarios.checking import Numbers, check, fastest, warm


class Processing:
    """Tasks a second, from the first to the last effect of a backlog; each must take effect once.

    The worker is started once, and stopped in its tracks while others are measured.

    Args:
        kind: of `programs/work.py`.
        count: how many tasks in a round.
        concurrency: processes of the worker, or threads where it has one process.
    """

    def __init__(self, name: str, kind: str, count: int, concurrency: int = 2) -> None:
        self.name = name
        self._kind = kind
        self._count = count
        self._concurrency = concurrency
        self._numbers = Numbers()

    def suits(self, contender: Contender, offers: frozenset[str]) -> bool:
        """Whether something runs its tasks."""
        return bool({"worker", "drain"} & offers)

    def prepare(self, party: Party) -> None:
        """Start the worker, and let it do some tasks."""
        warm(party, self._numbers, self._concurrency, self._kind)
        party.pause_workers()

    def measure(self, party: Party, round_number: int) -> Sample:
        """One round: a backlog is made while the worker stands still, and then done."""
        done, sent = ledger.count(party.ledger), self._numbers.take(self._count)
        party.resume_workers()
        party.pause_workers()
        party.ask(do=fastest(party), kind=self._kind, start=sent.start, count=self._count)
        server_s, worker_s, own_s = party.server_cpu_s, party.worker_cpu_s, 0.0
        party.resume_workers()
        if "drain" in party.offers:
            own_s = party.ask(do="drain")["cpu_s"]
        party.wait_for(done + self._count, checking.WITHIN_S)
        effects = ledger.effects(party.ledger, done)
        worker_s, server_s = party.worker_cpu_s - worker_s + own_s, party.server_cpu_s - server_s
        party.pause_workers()
        check(party, sent, effects)
        seconds = (effects[-1].at_ns - effects[0].at_ns) / 1e9
        value = (self._count - 1) / seconds
        return Sample(self.name, party.contender.name, round_number, value, self._count, 0.0, worker_s, server_s)
