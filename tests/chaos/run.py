"""One run from start to verdict."""

import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from queues.idempotency.key import digest_of
from queues.stores.redis import RedisStore
from tests.chaos import journal
from tests.chaos.faults import Fault, Injector
from tests.chaos.ground import Ground
from tests.chaos.judge import Evidence, Verdict, judge
from tests.chaos.ledger import Phase
from tests.chaos.options import Options
from tests.chaos.rows import Rows
from tests.chaos.schedule import Kind, plan
from tests.chaos.screen import Screen
from tests.chaos.tally import Tally

STRANGE = re.compile(
    r"Exception in thread [^(\n]*|raised unexpected: .*|Unrecoverable error: .*|Failed to process message .*"
)
NUMBERS = re.compile(r"[0-9a-f]{8,}|\d+")
STEP_S = 0.05
TALLY_EVERY_S = 1.0
AFTER_QUIET_LEASES = 3
"""For so long after the last outcome, copies that are still on their way may come and be answered."""


@dataclass(slots=True)
class Ended:
    """A run that is over.

    Args:
        start_ms: by the monotonic clock, when producers began.
        strange: errors that are none of the library's tree, or that ended a thread, and how often each came.
    """

    options: Options
    verdict: Verdict
    faults: list[Fault]
    tally: Tally
    start_ms: float
    strange: Counter[str]


def run(options: Options, folder: Path, screen: Screen) -> Ended:
    """Let a ground run under faults, heal it, wait until it is quiet, and judge.

    Args:
        folder: empty; keeps data, logs and ledgers.
    """
    tally = Tally(folder / "ledgers")
    ground = Ground(options, folder)
    Rows(ground.ledgers / "rows").create()
    with ground:
        planned = plan(
            options.seed,
            options.seconds,
            options.lease_s,
            has_rabbit=ground.rabbit is not None,
            per_second=options.faults_per_second,
        )
        ground.start_producers()
        injector = Injector(ground, planned)
        _rage(options, injector, tally, screen)
        _calm(ground, injector, tally, screen)
        outcomes = _quiet(ground, injector, tally, screen)
        for party in ground.workers:
            party.worker.kill()
    screen.say("judging")
    tally.update()
    faults = [*injector.faults, *_deaths(tally)]
    evidence = Evidence(
        lines=tally.lines,
        writes=[*Rows(ground.ledgers / "rows").history()],
        stories=journal.read(ground.valkey.data_dir, options.lease_ms),
        outcomes=outcomes,
        faults=faults,
        outages=injector.outages.spans,
    )
    return Ended(options, judge(evidence), faults, tally, ground.start_ms, strange(tally, folder))


def _rage(options: Options, injector: Injector, tally: Tally, screen: Screen) -> None:
    deadline = time.monotonic() + options.seconds
    tally_at = 0.0
    while time.monotonic() < deadline:
        injector.step()
        if time.monotonic() >= tally_at:
            tally_at = time.monotonic() + TALLY_EVERY_S
            tally.update()
            screen.show("faults", tally, injector.faults)
        time.sleep(STEP_S)


def _calm(ground: Ground, injector: Injector, tally: Tally, screen: Screen) -> None:
    injector.heal()
    for party in ground.producers:
        party.start_at_s = float("inf")
        party.worker.stop()
    tally.update()
    screen.show("healed", tally, injector.faults)


def _quiet(ground: Ground, injector: Injector, tally: Tally, screen: Screen) -> dict[str, bytes | None]:
    store = ground.store()
    deadline = time.monotonic() + ground.options.quiet_s
    outcomes: dict[str, bytes | None] = {digest_of(message): None for message in tally.acked.values()}
    while time.monotonic() < deadline:
        injector.restart_parties()
        _look(store, outcomes)
        tally.update()
        # What was admitted and never acknowledged must end too.
        left = max(sum(outcome is None for outcome in outcomes.values()), store.unfinished())
        screen.show(f"quiet, {left} unfinished", tally, injector.faults)
        if not left:
            break
        time.sleep(0.5)
    time.sleep(ground.options.lease_s * AFTER_QUIET_LEASES)
    outcomes = dict.fromkeys(outcomes)
    _look(store, outcomes)
    store.close()
    return outcomes


def _look(store: RedisStore, outcomes: dict[str, bytes | None]) -> None:
    for digest in [digest for digest, outcome in outcomes.items() if outcome is None]:
        record = store.read(digest)
        if record is not None and not record.state.is_live:
            outcomes[digest] = record.outcome


def strange(tally: Tally, folder: Path) -> Counter[str]:
    """What producers and workers say of errors that nobody should have met."""
    found = Counter(f"submission: {line.note}" for line in tally.lines if line.phase is Phase.STRANGE)
    for path in folder.glob("*.log"):
        for text in STRANGE.findall(path.read_text("utf-8", "replace")):
            found[f"{path.stem.partition('-')[0]}: {NUMBERS.sub('N', text)[:160]}"] += 1
    return found


def _deaths(tally: Tally) -> list[Fault]:
    return [
        Fault(Kind.PRODUCER_DIED, "producer", line.mono_ms, line.mono_ms, [line.pid])
        for line in tally.lines
        if line.phase is Phase.DIED
    ]
