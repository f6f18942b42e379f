"""How fast a worker gets through a backlog."""

from collections import Counter

from queues.bench.measure import Sample
from queues.bench.party import BenchError, Party
from queues.bench.programs import ledger
from queues.bench.server import server_cpu_s

WITHIN_S = 120.0
WARM_UP = 200


class Processing:
    """Tasks a second, from the first to the last effect of a backlog; each must take effect once.

    The worker is started once, and stopped in its tracks while others are measured.

    Args:
        kind: of `programs/work.py`.
        count: how many tasks in a round.
        concurrency: processes of the worker, or threads where it has one process.
    """

    unit = "a second"
    is_less_better = False

    def __init__(self, name: str, kind: str, count: int, concurrency: int = 2) -> None:
        self.name = name
        self._kind = kind
        self._count = count
        self._concurrency = concurrency
        self._next = 0

    def suits(self, party: Party) -> bool:
        """Whether it has workers."""
        return {"send", "worker"} <= party.offers

    def prepare(self, party: Party) -> None:
        """Start the worker, and let it do some tasks."""
        party.start_worker(self._concurrency)
        done = ledger.count(party.ledger)
        self._send(party, WARM_UP)
        party.wait_for(done + WARM_UP, WITHIN_S)
        party.pause_worker()

    def measure(self, party: Party, round_number: int) -> Sample:
        """One round: a backlog is made while the worker stands still, and then done."""
        done = ledger.count(party.ledger)
        sent = self._send(party, self._count)
        server_s, worker_s = server_cpu_s(party.redis_url), party.worker_cpu_s
        party.resume_worker()
        party.wait_for(done + self._count, WITHIN_S)
        effects = ledger.effects(party.ledger, done)
        worker_s, server_s = party.worker_cpu_s - worker_s, server_cpu_s(party.redis_url) - server_s
        party.pause_worker()
        _check(party, sent, effects)
        seconds = (effects[-1].at_ns - effects[0].at_ns) / 1e9
        value = (self._count - 1) / seconds
        return Sample(self.name, party.contender.name, round_number, value, self._count, 0.0, worker_s, server_s)

    def _send(self, party: Party, count: int) -> range:
        numbers = range(self._next, self._next + count)
        self._next += count
        verb = "send_many" if "send_many" in party.offers else "send"
        party.ask(do=verb, kind=self._kind, start=numbers.start, count=count)
        return numbers


def _check(party: Party, sent: range, effects: list[ledger.Effect]) -> None:
    counts = Counter(effect.number for effect in effects)
    lost = sum(number not in counts for number in sent)
    doubled = sum(count > 1 for count in counts.values())
    strange = sum(number not in sent for number in counts)
    if lost or doubled or strange:
        msg = f"{party.contender.name}: of {len(sent)} tasks {lost} were lost, {doubled} doubled, {strange} not sent"
        raise BenchError(msg)
