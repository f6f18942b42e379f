"""Batches of operations for a store that may work on one while the next is made."""

from collections.abc import Sequence
from typing import Protocol

from queues.idempotency.state import Answer, Operation

Requests = Sequence[tuple[str, Operation]]


class Pipeline(Protocol):
    """Takes batches and gives their answers back, in order.

    After an error it is only to be closed.
    """

    def send(self, requests: Requests) -> None:
        """Send a batch; its answers may not have come.

        Raises:
            StoreUnavailableError: as `Store.apply_many`.
        """
        ...

    def receive(self) -> list[Answer]:
        """The answers to the oldest batch whose answers were not received yet.

        Raises:
            StoreUnavailableError: as `Store.apply_many`.
        """
        ...

    def close(self) -> None:
        """Give up what has not been received: it may have been done, or be done yet."""
        ...


class AsyncPipeline(Protocol):
    """As `Pipeline`, for an event loop."""

    async def send(self, requests: Requests) -> None:
        """Send a batch."""
        ...

    async def receive(self) -> list[Answer]:
        """The answers to the oldest batch whose answers were not received yet."""
        ...

    async def aclose(self) -> None:
        """Give up what has not been received."""
        ...
