"""What waits on a backend's queues: counted, looked at, and taken off without being run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from queues.message import Message


@dataclass(frozen=True, slots=True)
class Lane:
    """One of the places where a queue's messages wait: those of a priority, or those that are not due yet.

    Args:
        name: what the broker calls it.
        queue: the queue of the tasks that it belongs to.
        is_delayed: whether its messages wait for their time.
    """

    name: str
    queue: str
    is_delayed: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that this process holds, and nobody else is given until it is removed or given back.

    Args:
        message: None for one that is only held because it could not be passed over.
        due_ms: not to be run before; ms since the Unix epoch on its producer's clock, 0 for at once.
        native: what the broker knows it by.
    """

    message: Message | None
    due_ms: int
    native: Any


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a lane brought.

    Args:
        taken: the wanted ones.
        others: those that are not wanted, to be given back when the lane has been looked through.
        seen: how many messages were looked at; 0 at the end of the lane.
        others_seen: how many of them are not wanted, held or not.
    """

    taken: Sequence[Taken]
    others: Sequence[Taken]
    seen: int
    others_seen: int


class Queued(Protocol):
    """The queues of one backend, as its workers consume them.

    Should the process die, the broker gives what it had taken to the workers again: at once on RabbitMQ, after a
    minute on Dramatiq's Redis, after the visibility timeout on Celery's. Every method raises BrokerUnavailableError
    when the broker does not answer.
    """

    @property
    def lanes(self) -> Sequence[Lane]:
        """Every place from which a worker of the tasks takes messages."""
        ...

    def depth_messages(self, lane: Lane) -> int:
        """How many messages wait there; 0 when there is no such place."""
        ...

    def held_messages(self) -> int | None:
        """How many messages of these queues the workers hold; None where the broker does not tell."""
        ...

    def take(self, lane: Lane, limit: int, passed_over: int, is_wanted: Callable[[Message], bool]) -> Look:
        """Look at up to `limit` messages, those that wait the longest first, and take the wanted ones.

        Messages of other programs, and what cannot be read, are never wanted.

        Args:
            passed_over: how many unwanted ones were seen since the lane's beginning.
        """
        ...

    def remove(self, taken: Sequence[Taken]) -> None:
        """Take these off the broker for good."""
        ...

    def give_back(self, taken: Sequence[Taken]) -> None:
        """Put these back on their lanes."""
        ...

    def close(self) -> None:
        """Give back what is still held, and close the connections."""
        ...


@runtime_checkable
class HasQueued(Protocol):
    """A backend whose queues outlive the process."""

    def queued(self) -> Queued:
        """Its queues, on connections of their own."""
        ...


def sorted_out(read: Sequence[Taken], is_wanted: Callable[[Message], bool]) -> Look:
    """The look of a broker that hands out whatever comes next."""
    taken = [each for each in read if each.message is not None and is_wanted(each.message)]
    wanted = {id(each) for each in taken}
    others = [each for each in read if id(each) not in wanted]
    return Look(taken, others, len(read), len(others))
