"""How fast tasks are submitted, while no worker takes them."""

from queues.bench.measure import Sample
from queues.bench.party import Party
from queues.bench.server import emptied, server_cpu_s

WARM_UP = 200
FIRST_NUMBER = 1_000_000


class Sending:
    """Submissions a second.

    Args:
        verb: of the program: `send`, `send_many` or `repeat`.
        count: how many in a round.
    """

    unit = "a second"
    is_less_better = False

    def __init__(self, name: str, verb: str, count: int, kind: str = "noop") -> None:
        self.name = name
        self._verb = verb
        self._count = count
        self._kind = kind
        self._next = FIRST_NUMBER

    def suits(self, party: Party) -> bool:
        """Whether the program has that verb."""
        return self._verb in party.offers

    def prepare(self, party: Party) -> None:
        """Open connections, and load scripts."""
        self._ask(party, WARM_UP)

    def measure(self, party: Party, round_number: int) -> Sample:
        """One round, on an empty server."""
        emptied(party.redis_url)
        before_s = server_cpu_s(party.redis_url)
        told = self._ask(party, self._count)
        return Sample(
            self.name,
            party.contender.name,
            round_number,
            self._count / told["seconds"],
            self._count,
            client_cpu_s=told["cpu_s"],
            server_cpu_s=server_cpu_s(party.redis_url) - before_s,
        )

    def _ask(self, party: Party, count: int) -> dict[str, float]:
        start, self._next = self._next, self._next + count
        numbers = {"number": start} if self._verb == "repeat" else {"start": start}
        told: dict[str, float] = party.ask(do=self._verb, kind=self._kind, count=count, **numbers)
        return told
