"""What a replay of a dead letter asks of the store, and what the answers to it mean."""

from dataclasses import dataclass, replace

from queues.dead_letter import DeadLetter
from queues.errors import KeyConflictError
from queues.handle import Decision
from queues.idempotency.burial import Revive
from queues.idempotency.machine import UNPUBLISHED_TTL_MS
from queues.idempotency.state import Answer, Kind, Record
from queues.message import Message


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay would do now.

    Args:
        decision: as of the handle that `replay` would return; None when it would be refused.
        key: under which it would run.
    """

    decision: Decision | None
    key: str
    why: str


def revival(message: Message, *, is_released: bool) -> Revive:
    """What queues the message anew, and removes its letter."""
    # The time by which it had to begin was kept; who replays it now wants it to run now.
    message = replace(message, begin_by_ms=0)
    return Revive(message.id, message.fingerprint, message.encoded(), is_released, UNPUBLISHED_TTL_MS)


def decided(answer: Answer, letter: DeadLetter) -> Decision | None:
    """What came of a revival; None when the letter was gone.

    Raises:
        KeyConflictError: the key was used since then with other arguments, and has an outcome.
    """
    match answer.kind:
        case Kind.ADMITTED:
            return Decision.EXECUTED
        case Kind.INFLIGHT:
            return Decision.JOINED
        case Kind.REPLAY | Kind.REPLAY_ERROR | Kind.DEAD:
            return Decision.REPLAYED
        case Kind.CONFLICT:
            raise KeyConflictError(letter.key)
        case _:
            return None


def planned(key: str, record: Record | None, answer: Answer) -> Plan:
    """What an answer would mean.

    Args:
        record: what is stored under the key; None if nothing.
    """
    match answer.kind:
        case Kind.ADMITTED if record is not None:
            why = f"what is stored under its key ({record.state.value}) gives way, and the work is queued and run again"
            return Plan(Decision.EXECUTED, key, why)
        case Kind.ADMITTED:
            return Plan(Decision.EXECUTED, key, "nothing is stored under its key: the work is queued and run again")
        case Kind.REPLAY:
            return Plan(Decision.REPLAYED, key, "the same work has completed since: its result answers, nothing runs")
        case Kind.REPLAY_ERROR | Kind.DEAD:
            why = f"a stored outcome ({answer.state.value}) answers its key, nothing runs; release the key to run it"
            return Plan(Decision.REPLAYED, key, why)
        case Kind.CONFLICT:
            return Plan(None, key, "its key was used since with other arguments, and has an outcome; release the key")
        case _:
            why = f"the same work is {answer.state.value}, as {answer.owner}: nothing more is queued"
            return Plan(Decision.JOINED, key, why)
