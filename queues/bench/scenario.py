"""The seam to what is measured."""

from typing import Protocol

from queues.bench.contenders import Contender
from queues.bench.measure import Sample
from queues.bench.party import Party


class Scenario(Protocol):
    """One thing that is measured of each contender that offers it."""

    name: str

    def suits(self, contender: Contender, offers: frozenset[str]) -> bool:
        """Whether the contender can be measured, whose program has these verbs."""
        ...

    def prepare(self, party: Party) -> None:
        """Have it ready, and warm."""
        ...

    def measure(self, party: Party, round_number: int) -> Sample:
        """One round.

        Raises:
            BenchError: work was lost, or done twice.
        """
        ...
