"""How fast tasks are submitted, while no worker takes them."""

from queues.bench.contenders import Contender
from queues.bench.measure import Sample
from queues.bench.party import Party
from queues.bench.scenarios.checking import Numbers
from queues.bench.server import emptied

WARM_UP = 200


class Sending:
    """Submissions a second.

    Args:
        verb: of the program: `send` or `send_many`.
        count: how many in a round.
    """

    def __init__(self, name: str, verb: str, count: int) -> None:
        self.name = name
        self._verb = verb
        self._count = count
        self._numbers = Numbers(1_000_000)

    def suits(self, contender: Contender, offers: frozenset[str]) -> bool:
        """Whether the program has that verb."""
        return self._verb in offers

    def prepare(self, party: Party) -> None:
        """Open connections, and load scripts."""
        self._ask(party, WARM_UP)

    def measure(self, party: Party, round_number: int) -> Sample:
        """One round, on an empty server."""
        emptied(party.redis_url)
        before_s = party.server_cpu_s
        told = self._ask(party, self._count)
        return Sample(
            self.name,
            party.contender.name,
            round_number,
            self._count / told["seconds"],
            self._count,
            client_cpu_s=told["cpu_s"],
            server_cpu_s=party.server_cpu_s - before_s,
        )

    def _ask(self, party: Party, count: int) -> dict[str, float]:
        sent = self._numbers.take(count)
        told: dict[str, float] = party.ask(do=self._verb, kind="noop", start=sent.start, count=count)
        return told
