"""The judge finds what it is there to find, and counts apart what the guarantee allows."""

from dataclasses import replace
from typing import Any

import pytest

from queues import codec
from tests.chaos.faults import Fault
from tests.chaos.journal import Lease, Stored, Story
from tests.chaos.judge import Evidence, judge
from tests.chaos.ledger import Line, Phase
from tests.chaos.rows import Write
from tests.chaos.schedule import Kind

DIGEST = "a" * 40
MESSAGE = f"{DIGEST}-000000000001"
TOKEN = 1_000
NEWER = 2_000
PID = 7


def line(phase: Phase, mono_ms: float, token: int = TOKEN, pid: int = PID) -> Line:
    return Line(phase, "work", pid, mono_ms, mono_ms, MESSAGE, token)


def run_of(token: int, begun_ms: float, pid: int = PID) -> list[Line]:
    """A whole run: begin, effect and end, 100 ms apart."""
    phases = (Phase.BEGIN, Phase.EFFECT, Phase.END)
    return [line(phase, begun_ms + place * 100, token, pid) for place, phase in enumerate(phases)]


def outcome(token: int, name: str = "work") -> bytes:
    return codec.dumps({"ok": {"name": name, "token": token}})


def story(*tokens: int) -> Story:
    """Leases one after another, each over when the next began; the last one completed."""
    leases = [Lease(token, MESSAGE, token, token + 900, is_ended=token == tokens[-1]) for token in tokens]
    stored = [Stored("completed", tokens[-1], outcome(tokens[-1]), tokens[-1] + 500)]
    return Story(DIGEST, MESSAGE, leases=leases, stored=stored, admissions=1)


def evidence(**changes: Any) -> Evidence:
    """One piece of work that was acknowledged, run and completed, but for the changes."""
    peace = Evidence(
        lines=[line(Phase.ACKED, 0), *run_of(TOKEN, 1_000)],
        writes=[],
        stories={DIGEST: story(TOKEN)},
        outcomes={DIGEST: outcome(TOKEN)},
        faults=[],
    )
    return replace(peace, **changes)


def twice() -> list[Line]:
    return [line(Phase.ACKED, 0), *run_of(TOKEN, 1_000), *run_of(NEWER, 2_000)]


def test_work_that_ran_once_is_neither_lost_nor_doubled():
    verdict = judge(evidence())

    assert (verdict.tasks, verdict.runs, verdict.lost, verdict.doubled, verdict.repeated) == (1, 1, [], [], [])


def test_acknowledged_work_without_an_outcome_is_lost():
    unfinished = replace_story(stored=[])

    verdict = judge(evidence(stories={DIGEST: unfinished}, outcomes={DIGEST: None}))

    assert ["acknowledged, no outcome" in each for each in verdict.lost] == [True]


def test_acknowledged_work_that_the_store_never_saw_is_lost():
    verdict = judge(evidence(stories={}, outcomes={DIGEST: None}))

    assert len(verdict.lost) == 1


def test_admitted_work_that_nobody_was_told_of_must_end_too():
    verdict = judge(evidence(lines=[], stories={DIGEST: replace_story(stored=[])}, outcomes={}))

    assert ["admitted, not acknowledged" in each for each in verdict.lost] == [True]


def test_a_success_without_an_effect_is_lost():
    verdict = judge(evidence(lines=[line(Phase.ACKED, 0), line(Phase.BEGIN, 1_000)]))

    assert ["no effect stands behind it" in each for each in verdict.lost] == [True]


@pytest.mark.parametrize(
    "data",
    [
        codec.dumps({"ok": {"status": "skipped"}}),
        codec.dumps({"error": {"type": "ValueError", "message": "no"}}),
        outcome(TOKEN, "other"),
        b"garbage",
    ],
    ids=["skipped", "failed", "another's", "unreadable"],
)
def test_an_outcome_that_is_not_the_works_own_is_lost(data: bytes):
    wrong = replace_story(stored=[Stored("completed", TOKEN, data, 1_500)])

    verdict = judge(evidence(stories={DIGEST: wrong}, outcomes={DIGEST: data}))

    assert len(verdict.lost) == 1


def test_a_lease_given_while_another_was_live_is_doubled():
    both = story(TOKEN, NEWER)
    both.second_leases = [(both.leases[0], both.leases[1])]

    verdict = judge(evidence(lines=twice(), stories={DIGEST: both}, outcomes={DIGEST: outcome(NEWER)}))

    assert len(verdict.doubled) == 1


def test_a_second_completion_is_doubled_and_so_is_a_changed_outcome():
    both = story(TOKEN, NEWER)
    both.stored.insert(0, Stored("completed", TOKEN, outcome(TOKEN), 1_500))

    verdict = judge(evidence(lines=twice(), stories={DIGEST: both}, outcomes={DIGEST: outcome(NEWER)}))

    assert any("completed 2 times" in each for each in verdict.doubled)
    assert any("its first stored outcome" in each for each in verdict.doubled)


def test_a_run_without_a_lease_is_doubled():
    verdict = judge(evidence(lines=twice()))

    assert ["which the store never gave" in each for each in verdict.doubled] == [True]


def test_two_runs_under_one_token_are_doubled():
    lines = [line(Phase.ACKED, 0), *run_of(TOKEN, 1_000), *run_of(TOKEN, 2_000, pid=8)]

    verdict = judge(evidence(lines=lines))

    assert ["ran 2 times under token" in each for each in verdict.doubled] == [True]


def test_an_older_fenced_write_taken_after_a_newer_one_is_doubled():
    writes = [Write("work", NEWER, True, PID, 1.0), Write("work", TOKEN, True, PID, 2.0)]

    verdict = judge(evidence(writes=writes))

    assert len(verdict.doubled) == 1


def test_a_refused_fenced_write_is_counted_and_not_held_against_the_library():
    lines = [line(Phase.ACKED, 0), line(Phase.BEGIN, 1_000), line(Phase.REFUSED, 1_100), line(Phase.END, 1_200)]
    writes = [Write("work", NEWER, True, PID, 1.0), Write("work", TOKEN, False, PID, 2.0)]

    verdict = judge(evidence(lines=lines, writes=writes))

    assert (verdict.refused_writes, verdict.lost, verdict.doubled) == (1, [], [])


def test_an_effect_repeated_after_its_process_was_killed_is_within_the_guarantee():
    lines = [line(Phase.ACKED, 0), *run_of(TOKEN, 1_000)[:2], *run_of(NEWER, 4_000, pid=8)]
    killed = Fault(Kind.CHILD_KILLED, "worker 1", 1_150, 1_150, [PID])

    verdict = judge(
        evidence(lines=lines, stories={DIGEST: story(TOKEN, NEWER)}, outcomes={DIGEST: outcome(NEWER)}, faults=[killed])
    )

    assert (verdict.lost, verdict.doubled, verdict.repeated) == ([], [], ["work"])
    assert [recovery.seconds for recovery in verdict.recoveries] == [2.85]


@pytest.mark.parametrize(
    ("outage", "seconds"),
    [((1_100, 3_150), 0.85), ((500, 1_000), 2.85), ((4_500, 5_000), 2.85), ((2_000, 9_000), 0.0)],
    ids=["between", "before", "after", "beyond"],
)
def test_a_recovery_is_counted_from_when_somebody_could(outage: tuple[float, float], seconds: float):
    lines = [line(Phase.ACKED, 0), *run_of(TOKEN, 1_000)[:2], *run_of(NEWER, 4_000, pid=8)]
    killed = Fault(Kind.CHILD_KILLED, "worker 1", 1_150, 1_150, [PID])

    (recovery,) = judge(evidence(lines=lines, faults=[killed], outages=[outage])).recoveries

    assert (recovery.seconds, recovery.seconds_from_kill) == (seconds, 2.85)


@pytest.mark.parametrize(
    ("begun_ms", "seconds"), [(3_000, 1.0), (1_100, 2.85), (4_500, 2.85)], ids=["between", "before", "after"]
)
def test_a_recovery_is_counted_from_the_last_lease_that_nobody_used(begun_ms: int, seconds: float):
    lines = [line(Phase.ACKED, 0), *run_of(TOKEN, 1_000)[:2], *run_of(NEWER, 4_000, pid=8)]
    killed = Fault(Kind.CHILD_KILLED, "worker 1", 1_150, 1_150, [PID])
    wasted = story(TOKEN, NEWER)
    wasted.leases.insert(1, Lease(TOKEN + 1, "owner", begun_ms, begun_ms + 3_000))

    (recovery,) = judge(evidence(lines=lines, faults=[killed], stories={DIGEST: wasted})).recoveries

    assert (recovery.seconds, recovery.seconds_from_kill) == (seconds, 2.85)


@pytest.mark.parametrize(("renewed_ms", "seconds"), [(2_500, 1.5), (1_100, 2.85)], ids=["after its death", "before"])
def test_a_recovery_is_counted_from_a_renewal_that_came_after_the_death(renewed_ms: int, seconds: float):
    lines = [line(Phase.ACKED, 0), *run_of(TOKEN, 1_000)[:2], *run_of(NEWER, 4_000, pid=8)]
    killed = Fault(Kind.WORKER_KILLED, "worker 1", 1_150, 1_150, [PID])
    late = story(TOKEN, NEWER)
    late.leases[0].renewed_ms = renewed_ms

    (recovery,) = judge(evidence(lines=lines, faults=[killed], stories={DIGEST: late})).recoveries

    assert (recovery.seconds, recovery.seconds_from_kill) == (seconds, 2.85)


@pytest.mark.parametrize(("pause", "late"), [((1_010, 3_900), 0), ((10, 20), 1)], ids=["paused", "running"])
def test_a_late_effect_is_told_of_unless_its_process_was_paused(pause: tuple[float, float], late: int):
    lines = [
        *[line(Phase.ACKED, 0), line(Phase.BEGIN, 1_000), line(Phase.EFFECT, 4_000)],
        *run_of(NEWER, 2_000, pid=8),
    ]
    paused = Fault(Kind.CHILD_PAUSED, "worker 1", *pause, [PID])

    verdict = judge(
        evidence(lines=lines, stories={DIGEST: story(TOKEN, NEWER)}, outcomes={DIGEST: outcome(NEWER)}, faults=[paused])
    )

    assert (len(verdict.late), verdict.doubled) == (late, [])


def replace_story(**changes: Any) -> Story:
    return replace(story(TOKEN), **changes)
