"""What becomes of tasks that come while the worker runs: all at once, or each twice."""

from queues.bench.contenders import Contender
from queues.bench.measure import Points, Sample
from queues.bench.party import Party
from queues.bench.programs import ledger
from queues.bench.scenarios import checking
from queues.bench.scenarios.checking import Numbers, check, fastest, warm

TIMELINE = 60


class Bursting:
    """Tasks a second, from the first submission to the last effect; the samples carry the timeline.

    Args:
        count: how many different tasks in a round.
        is_twice: each is submitted twice, and may take effect once.
    """

    def __init__(self, name: str, count: int, *, is_twice: bool = False) -> None:
        self.name = name
        self._count = count
        self._is_twice = is_twice
        self._numbers = Numbers()

    def suits(self, contender: Contender, offers: frozenset[str]) -> bool:
        """Whether it has workers, and answers repetitions also of work that is done."""
        return {"worker", "run"} <= offers if self._is_twice else "worker" in offers

    def prepare(self, party: Party) -> None:
        """Start the worker, and let it do some tasks."""
        warm(party, self._numbers, 2)
        party.pause_workers()

    def measure(self, party: Party, round_number: int) -> Sample:
        """One round."""
        done, sent = ledger.count(party.ledger), self._numbers.take(self._count)
        party.resume_workers()
        server_s, worker_s = party.server_cpu_s, party.worker_cpu_s
        verb = "twice" if self._is_twice else fastest(party)
        told = party.ask(do=verb, kind="noop", start=sent.start, count=self._count)
        party.wait_for(done + self._count, checking.WITHIN_S)
        effects = ledger.effects(party.ledger, done)
        worker_s, server_s = party.worker_cpu_s - worker_s, party.server_cpu_s - server_s
        party.pause_workers()
        check(party, sent, effects)
        submitted = self._count * (2 if self._is_twice else 1)
        return Sample(
            self.name,
            party.contender.name,
            round_number,
            submitted / ((effects[-1].at_ns - told["begun_ns"]) / 1e9),
            submitted,
            told["cpu_s"],
            worker_s,
            server_s,
            points=_timeline(effects, told["begun_ns"]),
        )


def _timeline(effects: list[ledger.Effect], begun_ns: int) -> Points:
    """Seconds since the first submission, and tasks done."""
    step = max(1, len(effects) // TIMELINE)
    places = [*range(0, len(effects), step), len(effects) - 1]
    return tuple((round((effects[place].at_ns - begun_ns) / 1e9, 4), place + 1) for place in places)
