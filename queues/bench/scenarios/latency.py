"""How long a task waits from the moment it was meant to be submitted until it takes effect."""

from queues.bench.contenders import Contender
from queues.bench.measure import Points, Sample
from queues.bench.party import Party
from queues.bench.programs import ledger
from queues.bench.scenarios import checking
from queues.bench.scenarios.checking import WARM_UP, Numbers, check, warm

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
VALUE_AT = 0.99


class Latency:
    """The 99th percentile in ms; the samples carry the curve.

    Open loop: tasks are submitted at fixed moments at a share of what the contender can carry, and a task counts from
    its moment, so that whatever holds up the producer or the worker is counted for every task that it delays. (A
    loop that waits for each answer would leave those out: coordinated omission.)

    Args:
        share: of the capacity, which is measured first with `count` tasks sent one by one.
        seconds: how long tasks are submitted in a round.

    Source: Tene, "How NOT to measure latency", 2013.
    """

    def __init__(self, name: str, share: float, count: int, seconds: float) -> None:
        self.name = name
        self._share = share
        self._count = count
        self._seconds = seconds
        self._numbers = Numbers()
        self._rates: dict[str, float] = {}

    def suits(self, contender: Contender, offers: frozenset[str]) -> bool:
        """Whether it has workers."""
        return "worker" in offers

    def prepare(self, party: Party) -> None:
        """Start the worker, and find out what it carries while somebody submits."""
        warm(party, self._numbers, 2)
        done, sent = ledger.count(party.ledger), self._numbers.take(self._count)
        told = party.ask(do="send", kind="noop", start=sent.start, count=self._count)
        party.wait_for(done + self._count, checking.WITHIN_S)
        took_ns = ledger.effects(party.ledger, done)[-1].at_ns - told["begun_ns"]
        self._rates[party.contender.name] = self._share * self._count * 1e9 / took_ns
        party.pause_workers()

    def measure(self, party: Party, round_number: int) -> Sample:
        """One round."""
        rate = self._rates[party.contender.name]
        count = max(WARM_UP, round(rate * self._seconds))
        done, sent = ledger.count(party.ledger), self._numbers.take(count)
        party.resume_workers()
        server_s, worker_s = party.server_cpu_s, party.worker_cpu_s
        told = party.ask(do="pace", kind="noop", start=sent.start, count=count, rate=rate)
        party.wait_for(done + count, checking.WITHIN_S)
        effects = ledger.effects(party.ledger, done)
        worker_s, server_s = party.worker_cpu_s - worker_s, party.server_cpu_s - server_s
        party.pause_workers()
        check(party, sent, effects)
        due_ns = {number: told["begun_ns"] + place * 1e9 / rate for place, number in enumerate(sent)}
        waits = sorted((effect.at_ns - due_ns[effect.number]) / 1e6 for effect in effects)
        return Sample(
            self.name,
            party.contender.name,
            round_number,
            at(waits, VALUE_AT),
            count,
            told["cpu_s"],
            worker_s,
            server_s,
            unit="ms",
            points=curve(waits),
        )


def at(ordered: list[float], share: float) -> float:
    """The value that this share of the ordered values does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def curve(ordered: list[float]) -> Points:
    """Shares, and the values that they do not exceed."""
    return tuple((share, round(at(ordered, share), 4)) for share in QUANTILES)
