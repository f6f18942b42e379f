"""The seam to a task system: it holds the queues and runs the workers; the engine decides what runs."""

from collections.abc import Sequence
from typing import Never, Protocol

from queues.idempotency.publication import Publication
from queues.message import Message


class Backend(Protocol):
    """Publishes messages, and in a worker hands them to the executor.

    Every method that reaches the broker raises BrokerUnavailableError when it does not take the message.
    """

    name: str

    def publish(self, message: Message, delay_ms: int = 0) -> None:
        """Put the message on its queue; it is delivered at least once, not before `delay_ms` are over."""
        ...

    def publish_many(self, messages: Sequence[tuple[Message, int]]) -> None:
        """Put many on their queues, each with its delay in ms, in as few round trips as the broker allows."""
        ...

    def publication(self, message: Message, delay_ms: int) -> Publication | None:
        """The push that publishes the message, where the broker is the store's own Redis; else None."""
        ...

    def is_ours(self, message: Message) -> bool:
        """Whether this backend can publish the message: options of another backend are not its to carry out."""
        ...

    def pause(self, ms: int) -> None:
        """Let at most `ms` pass; a backend that works in this process works meanwhile."""
        ...

    def close(self) -> None:
        """Close the connections to the broker."""
        ...


class Elsewhere:
    """An attribute that only the backend of another task system has.

    Args:
        needed: the backend that has it.
    """

    def __init__(self, needed: str) -> None:
        self._needed = needed
        self._name = ""

    def __set_name__(self, owner: type[Backend], name: str) -> None:
        self._name = name

    def __get__(self, instance: Backend | None, owner: type[Backend]) -> Never:
        """Name the cause.

        Raises:
            AttributeError: always, as for a name that is nowhere: `hasattr` is False.
        """
        msg = f"this queue is on {owner.name} (QUEUES_BACKEND); `{self._name}` needs {self._needed}"
        raise AttributeError(msg)
