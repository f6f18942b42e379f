"""The judgement: what the ledger, the rows, the store's journal and the list of faults say together.

LOST is work whose submission was acknowledged, or which the store had admitted, without a stored outcome when the
quiet is over; and work whose stored outcome no effect stands behind.

DOUBLED is work that ran twice outside the guarantee: a lease given while another was live; a lease given after a
stored completion; two completions; a run without a lease of its own; an outcome that changed; a fenced write taken
from an older token after a newer one.

An effect that was repeated because the process that made it died, was paused or was fenced before its outcome was
stored is within the guarantee, and counted by itself.
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from queues.errors import QueueError
from queues.idempotency import envelope
from queues.idempotency.key import digest_of
from tests.chaos.faults import Fault
from tests.chaos.journal import Story
from tests.chaos.ledger import Line, Phase
from tests.chaos.outages import Span
from tests.chaos.recoveries import Recovery, recoveries
from tests.chaos.rows import Write
from tests.chaos.runs import Run, runs_of
from tests.chaos.schedule import Kind

PAUSES = (Kind.CHILD_PAUSED, Kind.WORKER_PAUSED)
SLACK_MS = 50.0
"""Between the store's clock, which counts in whole ms, and the ledger's."""


@dataclass(slots=True)
class Verdict:
    """The judgement of a run.

    Args:
        tasks: pieces of work that were acknowledged.
        lost, doubled: a sentence for each.
        repeated: names whose effect came more than once, within the guarantee.
        refused_writes: fenced writes that were refused.
        refused_outcomes: runs that ended, and whose outcome was not the stored one.
        late: unfenced effects of a process that was not paused, after a newer run had begun.
    """

    tasks: int = 0
    submissions: int = 0
    runs: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    refused_writes: int = 0
    refused_outcomes: int = 0
    late: list[str] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)

    @property
    def longest_recovery_s(self) -> float:
        """0 when nothing had to recover."""
        return max((recovery.seconds for recovery in self.recoveries), default=0.0)

    @property
    def longest_from_kill_s(self) -> float:
        """As `longest_recovery_s`, with all that hit the same work meanwhile."""
        return max((recovery.seconds_from_kill for recovery in self.recoveries), default=0.0)

    @property
    def usual_recovery_s(self) -> float:
        """The median."""
        return statistics.median([recovery.seconds for recovery in self.recoveries] or [0.0])


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known.

    Args:
        outcomes: what the store answered at the end, for each key that was asked for; None for no outcome.
        outages: when nobody could take work over.
    """

    lines: list[Line]
    writes: list[Write]
    stories: Mapping[str, Story]
    outcomes: Mapping[str, bytes | None]
    faults: list[Fault]
    outages: list[Span] = field(default_factory=list)


def judge(evidence: Evidence) -> Verdict:
    """The verdict on a run."""
    runs = runs_of(evidence.lines)
    verdict = Verdict(runs=len(runs))
    acked = [line for line in evidence.lines if line.phase is Phase.ACKED]
    names = {digest_of(line.message): line.name for line in acked}
    verdict.tasks, verdict.submissions = len(names), len(acked)
    by_key: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_key[digest_of(run.message)].append(run)
    fenced = {write.name for write in evidence.writes}
    for digest in {*names, *evidence.stories}:
        story = evidence.stories.get(digest) or Story(digest)
        name = names.get(digest) or (by_key[digest][0].name if by_key[digest] else digest)
        verdict.lost += _lost(name, digest in names, story, by_key[digest], evidence)
        verdict.doubled += _doubled(name, story, by_key[digest])
        if sum(run.effect_ms is not None for run in by_key[digest]) > 1:
            verdict.repeated.append(name)
        verdict.refused_outcomes += _refused_outcomes(story, by_key[digest])
        if name not in fenced:
            verdict.late += _late(name, by_key[digest], evidence.faults)
    verdict.doubled += _older_after_newer(evidence.writes)
    verdict.doubled += _changed_outcomes(evidence)
    verdict.refused_writes = sum(not write.was_taken for write in evidence.writes)
    verdict.recoveries = [*recoveries(runs, evidence.lines, evidence.stories, evidence.faults, evidence.outages)]
    return verdict


def _lost(name: str, is_acked: bool, story: Story, runs: list[Run], evidence: Evidence) -> list[str]:
    if not story.is_final or (is_acked and evidence.outcomes.get(story.digest) is None):
        how = "acknowledged" if is_acked else "admitted, not acknowledged"
        leases = [(lease.token, lease.until_ms, lease.is_ended) for lease in story.leases]
        return [f"{name}: {how}, no outcome; key {story.digest}, leases {leases}, helped {story.helps} times"]
    stored = story.stored[-1]
    try:
        value, failure = envelope.opened(stored.outcome)
    except QueueError as exc:
        return [f"{name}: its outcome cannot be read: {exc}"]
    if failure is not None:
        return [f"{name}: ended as {stored.state} with {failure.type}: {failure.message}"]
    if value != {"name": name, "token": stored.token}:
        return [f"{name}: its outcome is another's: {value!r}"]
    behind = [run for run in runs if run.token == stored.token]
    if not any(run.effect_ms is not None or run.was_refused for run in behind):
        return [f"{name}: completed under token {stored.token}, and no effect stands behind it"]
    return []


def _doubled(name: str, story: Story, runs: list[Run]) -> list[str]:
    found = [
        f"{name}: token {second.token} was given at {second.begun_ms}, when token {first.token} was live until"
        f" {first.until_ms}"
        for first, second in story.second_leases
    ]
    found += [f"{name}: token {lease.token} was given after a completion" for lease in story.leases_after_outcome]
    completions = [stored for stored in story.stored if stored.state == "completed"]
    if len(completions) > 1:
        found.append(f"{name}: completed {len(completions)} times, under {[stored.token for stored in completions]}")
    given = {lease.token for lease in story.leases}
    found += [
        f"{name}: ran under token {run.token}, which the store never gave" for run in runs if run.token not in given
    ]
    per_token = Counter(run.token for run in runs)
    found += [f"{name}: ran {count} times under token {token}" for token, count in per_token.items() if count > 1]
    tokens = [lease.token for lease in story.leases]
    if tokens != sorted(set(tokens)):
        found.append(f"{name}: tokens did not rise: {tokens}")
    return found


def _changed_outcomes(evidence: Evidence) -> list[str]:
    found = []
    for digest, outcome in evidence.outcomes.items():
        story = evidence.stories.get(digest)
        completions = [s.outcome for s in story.stored if s.state == "completed"] if story is not None else []
        if completions and outcome != completions[0]:
            found.append(f"{digest}: its first stored outcome was {completions[0]!r}, its last is {outcome!r}")
    return found


def _refused_outcomes(story: Story, runs: list[Run]) -> int:
    stored = {each.token for each in story.stored}
    return sum(run.ended_ms is not None and run.token not in stored for run in runs)


def _late(name: str, runs: list[Run], faults: list[Fault]) -> list[str]:
    begun = {run.token: run.begun_ms for run in runs}
    found = []
    for run in runs:
        later = [when for token, when in begun.items() if token > run.token]
        if run.effect_ms is None or not later or run.effect_ms <= min(later):
            continue
        was_paused = any(
            run.pid in fault.pids and fault.end_ms + SLACK_MS >= run.begun_ms and fault.at_ms <= run.effect_ms
            for fault in faults
            if fault.kind in PAUSES
        )
        if not was_paused:
            by_ms = run.effect_ms - min(later)
            found.append(f"{name}: token {run.token} took effect {by_ms:.0f} ms after a newer run's begin")
    return found


def _older_after_newer(writes: Iterable[Write]) -> list[str]:
    newest: dict[str, int] = {}
    found = []
    for write in writes:
        if write.was_taken:
            if write.token <= newest.get(write.name, 0):
                found.append(f"{write.name}: a write of token {write.token} was taken after {newest[write.name]}")
            newest[write.name] = max(write.token, newest.get(write.name, 0))
    return found
