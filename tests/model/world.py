"""What the explorer calls a state: the records, the queue, the workers, the producers, and what must be remembered.

Everything is small integers and short strings, times are ticks from now, and equal situations are equal values: so
there are finitely many. A tick is what the engine calls a millisecond.
"""

from typing import NamedTuple, TypeVar

from queues.idempotency.state import State

T = TypeVar("T")

FINAL = frozenset({State.COMPLETED, State.FAILED, State.DEAD})

LOST_WORK = "no lost work"
STUCK = "nothing is stuck"
OVERWRITTEN = "an outcome stands for its ttl"
TWO_LEASES = "one live lease, rising tokens"
UNANSWERED = "a linked message is answered"
WRONG_ANSWER = "an answer is the stored outcome"
LATE_WRITE = "only the last token writes"
TWO_EFFECTS = "no second run in a live lease"
BEGAN_LATE = "what has expired never begins"
PROPERTIES = (LOST_WORK, STUCK, OVERWRITTEN, TWO_LEASES, LATE_WRITE, UNANSWERED, WRONG_ANSWER, TWO_EFFECTS, BEGAN_LATE)
LIVENESS = (LOST_WORK, STUCK, UNANSWERED)
"""These speak of what can still happen, and are judged on the whole graph; the others on each step."""

ACCEPTED, SETTLED, ANSWERED = 1, 2, 4
"""Flags of a message: there is a promise for it; its key has had an outcome since; its own callbacks have fired."""


class Copy(NamedTuple):
    """A copy of a message in the queue, deliverable in `due` ticks."""

    due: int
    message: int
    retries: int


class Worker(NamedTuple):
    """A worker process and the delivery that it holds.

    Args:
        at: the step that it does next; `idle` without a delivery.
        message, retries: of the delivery.
        nonce: of a begin that was done and whose answer was lost; `written` when that was the end of the run.
        token: of its run; 0 without one.
        attempt: retries before this run.
        lease: ticks that are left of its lease, by the store's clock.
        stop: why the task was told to stop: `lost`, `cancelled` or empty.
        delay: of the copy that it publishes next, in ticks.
        result: what it is about to answer or to store.
    """

    at: str = "idle"
    message: int = -1
    retries: int = 0
    nonce: str = ""
    token: int = 0
    attempt: int = 0
    lease: int = 0
    stop: str = ""
    delay: int = 0
    result: str = ""
    is_paused: bool = False


class Producer(NamedTuple):
    """The submission of one message; `helped` is the message that it publishes for another."""

    at: str = "new"
    helped: int = -1
    is_paused: bool = False


class Lease(NamedTuple):
    """What is remembered of a key: the last token given out, and the ticks left of its lease."""

    token: int = 0
    left: int = 0


class World(NamedTuple):
    """One state. `records` are numbers given by `Records`; `faults` and `cancels` are what may still happen.

    Args:
        begin_within: ticks that are left for messages to begin in; 0 when that time is over, or there is none.
    """

    records: tuple[int, ...]
    leases: tuple[Lease, ...]
    queue: tuple[Copy, ...]
    workers: tuple[Worker, ...]
    producers: tuple[Producer, ...]
    flags: tuple[int, ...]
    faults: int
    cancels: int
    begin_within: int = 0


class Step(NamedTuple):
    """One thing that may happen next.

    Args:
        kind: `free` what the system does by itself, `asked` what users do, `fault`.
        broken: properties that the step breaks.
    """

    kind: str
    label: str
    world: World
    broken: tuple[str, ...] = ()


IDLE = Worker()
WRITTEN = "written"


def put(items: tuple[T, ...], index: int, value: T) -> tuple[T, ...]:
    """The items with another one at `index`."""
    return (*items[:index], value, *items[index + 1 :])


def name(message: int) -> str:
    """How traces call a message."""
    return f"m{message + 1}"
