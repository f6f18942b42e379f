"""One run: the scenarios one after another, the rounds of each interleaved."""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from queues.bench.contenders import Contender
from queues.bench.environments import InstallError, interpreter
from queues.bench.measure import Sample
from queues.bench.party import BenchError, Party
from queues.bench.rabbit import Rabbit
from queues.bench.scenario import Scenario
from queues.bench.server import Server


class Screen(Protocol):
    """Where a run tells what it does."""

    def show(self, text: str, done: float) -> None:
        """What is being done, and which part of the run, from 0 to 1, is behind it."""
        ...

    def say(self, text: str) -> None:
        """What the reader must know."""
        ...


@dataclass(slots=True)
class Outcome:
    """What was measured so far, and what says nothing because work was lost or doubled."""

    samples: list[Sample] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Args:
        broker: `redis` or `rabbitmq`; contenders that cannot use it are left out.
        rabbitmq_url: of a server that runs; None starts one.
        only: names of contenders, for scenarios in which not all are wanted.
    """

    scenarios: Sequence[Scenario]
    contenders: Sequence[Contender]
    rounds: int
    broker: str = "redis"
    rabbitmq_url: str | None = None
    only: Mapping[str, frozenset[str]] = field(default_factory=dict)


def run(plan: Plan, screen: Screen, outcome: Outcome) -> None:
    """Measure into `outcome`, which so holds what was measured when it is interrupted.

    Raises:
        InvalidOptionError: RabbitMQ is asked for, and is not installed.
    """
    is_started = plan.broker == "rabbitmq" and plan.rabbitmq_url is None
    with Server() as server, Rabbit() if is_started else nullcontext() as rabbit:
        turn = _Run(plan, screen, outcome, server, rabbit)
        for number, scenario in enumerate(plan.scenarios):
            turn.measure(scenario, number / len(plan.scenarios))


class _Run:
    def __init__(self, plan: Plan, screen: Screen, outcome: Outcome, server: Server, rabbit: Rabbit | None) -> None:
        self._plan = plan
        self._screen = screen
        self._outcome = outcome
        self._server = server
        self._rabbit = rabbit
        self._pythons: dict[str, str | None] = {}
        self._offers: dict[str, frozenset[str]] = {}

    def measure(self, scenario: Scenario, done: float) -> None:
        part = 1 / len(self._plan.scenarios)
        with ExitStack() as stack:
            parties = []
            for contender in self._plan.contenders:
                party = self._ready(scenario, contender, stack, done)
                if party is not None:
                    parties.append(party)
            for number in range(self._plan.rounds):
                # Another one goes first each time, so that none is always the one after the same other.
                turn = number % len(parties) if parties else 0
                for place, party in enumerate([*parties[turn:], *parties[:turn]]):
                    behind = (number + place / len(parties)) / self._plan.rounds
                    text = f"{scenario.name}: round {number + 1} of {self._plan.rounds}, {party.contender.name}"
                    self._screen.show(text, done + part * behind)
                    if not self._measured(scenario, party, number):
                        parties = [other for other in parties if other is not party]

    def _ready(self, scenario: Scenario, contender: Contender, stack: ExitStack, done: float) -> Party | None:
        """The contender, warm; None where the scenario is not for it."""
        wanted = self._plan.only.get(scenario.name)
        if (wanted is not None and contender.name not in wanted) or not self._is_for(scenario, contender):
            return None
        self._screen.show(f"{scenario.name}: {contender.name} gets ready", done)
        python = self._python(contender)
        if python is None:
            return None
        url = self._server.database()
        broker_url = url
        if self._plan.broker == "rabbitmq":
            broker_url = self._plan.rabbitmq_url or (self._rabbit.url if self._rabbit is not None else "")
        folder = Path(tempfile.mkdtemp(dir=self._server.folder))
        try:
            party = Party(contender, python, url, broker_url, folder, self._rabbit)
            stack.callback(party.close)
            self._offers[contender.name] = party.offers
            if not scenario.suits(contender, party.offers):
                party.close()
                return None
            scenario.prepare(party)
        except BenchError as exc:
            self._tell_invalid(scenario, contender, exc)
            return None
        return party

    def _is_for(self, scenario: Scenario, contender: Contender) -> bool:
        """Whether it can use the broker, and, as far as is known by now, suits the scenario."""
        if self._plan.broker not in contender.brokers or (contender.only and scenario.name not in contender.only):
            return False
        offers = self._offers.get(contender.name)
        return offers is None or scenario.suits(contender, offers)

    def _measured(self, scenario: Scenario, party: Party, number: int) -> bool:
        try:
            self._outcome.samples.append(scenario.measure(party, number))
        except BenchError as exc:
            party.close()
            self._tell_invalid(scenario, party.contender, exc)
            return False
        return True

    def _tell_invalid(self, scenario: Scenario, contender: Contender, error: BenchError) -> None:
        """What it did in other rounds does not count either."""
        kept = [s for s in self._outcome.samples if (s.scenario, s.contender) != (scenario.name, contender.name)]
        self._outcome.samples[:] = kept
        first, _, rest = str(error).partition("\n")
        self._outcome.invalid.append(f"{scenario.name}: {first}")
        self._screen.say(f"invalid: {scenario.name}: {first}\n{rest}".rstrip())

    def _python(self, contender: Contender) -> str | None:
        if not contender.is_peer:
            return sys.executable
        if contender.name not in self._pythons:
            try:
                made = interpreter(contender.name, contender.requirements, self._screen.say)
            except InstallError as exc:
                self._screen.say(f"{contender.name} is left out, it could not be installed: {exc}")
                made = None
            self._pythons[contender.name] = made
        return self._pythons[contender.name]
