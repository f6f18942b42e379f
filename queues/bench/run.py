"""One run: the scenarios one after another, the rounds of each interleaved."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from queues.bench.contenders import Contender
from queues.bench.measure import Sample
from queues.bench.party import Party
from queues.bench.scenario import Scenario
from queues.bench.server import Server

Tell = Callable[[str], None]


def run(
    scenarios: Sequence[Scenario], contenders: Sequence[Contender], rounds: int, tell: Tell, keep: list[Sample]
) -> None:
    """Measure into `keep`, which so holds what was measured when it is interrupted.

    Args:
        tell: shows what is being done.
    """
    with Server() as server:
        for scenario in scenarios:
            _run_scenario(scenario, contenders, rounds, server, tell, keep)


def _run_scenario(
    scenario: Scenario,
    contenders: Sequence[Contender],
    rounds: int,
    server: Server,
    tell: Tell,
    keep: list[Sample],
) -> None:
    with ExitStack() as stack:
        parties = []
        for contender in contenders:
            tell(f"{scenario.name}: {contender.name} gets ready")
            url = server.database()
            folder = Path(tempfile.mkdtemp(dir=server.folder))
            party = Party(contender, sys.executable, url, url, folder)
            if not scenario.suits(party):
                party.__exit__(None, None, None)
                continue
            parties.append(stack.enter_context(party))
            scenario.prepare(party)
        for number in range(rounds):
            # Another one goes first each time, so that none is always the one after the same other.
            turn = number % len(parties) if parties else 0
            for party in [*parties[turn:], *parties[:turn]]:
                tell(f"{scenario.name}: round {number + 1} of {rounds}, {party.contender.name}")
                keep.append(scenario.measure(party, number))
