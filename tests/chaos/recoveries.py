"""How long the work of a killed process took to go on, and from when that is counted."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from queues.idempotency.key import digest_of
from tests.chaos.faults import Fault
from tests.chaos.journal import Story
from tests.chaos.ledger import Line
from tests.chaos.outages import Span
from tests.chaos.runs import Run
from tests.chaos.schedule import Kind

KILLS = (Kind.CHILD_KILLED, Kind.WORKER_KILLED)


@dataclass(frozen=True, slots=True)
class Recovery:
    """Work whose process was killed, and went on.

    Args:
        free_ms: the last fault after the kill that is known to have hit this work or the servers it needs: the end of
            an outage; a renewal of the dead run's lease that a parted network held, and delivered after its death; or
            a lease that the store gave meanwhile and under which no run began, because its worker died, was paused or
            never got the answer. The kill if there was none. What else went wrong meanwhile, such as a
            helper that was cut off before it published, is not taken off.
        message: the id of its message.
    """

    name: str
    killed_ms: float
    begun_ms: float
    free_ms: float
    message: str = ""

    @property
    def seconds(self) -> float:
        """From `free_ms` to the next run's begin."""
        return (self.begun_ms - self.free_ms) / 1000

    @property
    def seconds_from_kill(self) -> float:
        """From the kill to the next run's begin, whatever hit it meanwhile."""
        return (self.begun_ms - self.killed_ms) / 1000


def recoveries(
    runs: list[Run],
    lines: Iterable[Line],
    stories: Mapping[str, Story],
    faults: Iterable[Fault],
    outages: Iterable[Span],
) -> Iterable[Recovery]:
    """Each run whose process was killed in its middle, and whose work began again.

    Args:
        outages: when nobody could have taken work over.
    """
    by_name: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_name[run.name].append(run)
    hits = _hits_ms(runs, lines, stories)
    for fault in faults:
        if fault.kind not in KILLS:
            continue
        for run in runs:
            if run.pid not in fault.pids or run.begun_ms > fault.at_ms or run.left_ms is not None:
                continue
            later = [each.begun_ms for each in by_name[run.name] if each.begun_ms > run.begun_ms]
            # A later begin before the kill: the lease had been lost before, to a pause or a parted network.
            if later and min(later) > fault.at_ms:
                hits_ms = [
                    at_ms for at_ms in hits[digest_of(run.message), run.token] if fault.at_ms < at_ms < min(later)
                ]
                up_ms = _up_ms(outages, fault.at_ms, min(later))
                yield Recovery(run.name, fault.at_ms, min(later), max([up_ms, *hits_ms]), run.message)


def _hits_ms(
    runs: list[Run], lines: Iterable[Line], stories: Mapping[str, Story]
) -> dict[tuple[str, int], list[float]]:
    """What hit the work of each run, by its digest and token: times by the monotonic clock.

    The last renewal of its own lease, and each lease of the same work under which no run began.
    """
    used = {(digest_of(run.message), run.token) for run in runs}
    offset_ms = min((line.mono_ms - line.wall_ms for line in lines), default=0.0)
    hits: dict[tuple[str, int], list[float]] = defaultdict(list)
    for digest, token in used:
        for lease in stories[digest].leases if digest in stories else ():
            if lease.token == token:
                hits[digest, token].append(lease.renewed_ms + offset_ms)
            elif (digest, lease.token) not in used:
                hits[digest, token].append(lease.begun_ms + offset_ms)
    return hits


def _up_ms(outages: Iterable[Span], killed_ms: float, begun_ms: float) -> float:
    ends = [end_ms for at_ms, end_ms in outages if at_ms < begun_ms and end_ms > killed_ms]
    return min(max([killed_ms, *ends]), begun_ms)
