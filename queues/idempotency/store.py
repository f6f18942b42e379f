"""The seam between the engine and the place where its records live."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from queues.errors import StoreUnavailableError
from queues.idempotency.pipeline import AsyncPipeline, Pipeline
from queues.idempotency.standby import Standby
from queues.idempotency.state import Admit, Answer, Operation, Record
from queues.limits.limiter import Limiter

WORKER_SEEN_WITHIN_MS = 30_000
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker process that was seen lately.

    Args:
        name: `<backend>@<host>:<pid>`.
        backend: what it consumes with.
        seen_ms: when it last said so, on the store's clock.
    """

    name: str
    backend: str
    seen_ms: int


@dataclass(frozen=True, slots=True)
class Due:
    """Work whose message anyone may publish, in `in_ms` from now; 0 or less: already now."""

    digest: str
    in_ms: int


def chosen(found: list[Due], limit: int) -> list[Due]:
    """What `Store.due` returns of all that was found."""
    overdue = [due for due in found if due.in_ms <= 0]
    random.shuffle(overdue)
    coming = sorted((due for due in found if due.in_ms > 0), key=lambda due: due.in_ms)
    return [*overdue, *coming][:limit]


class Store(Protocol):
    """Keeps one record a key and applies each operation to it in one atomic step.

    Every method raises StoreUnavailableError when the store does not answer; an operation may then have been
    done or not, and may be sent again: each one is safe to repeat.
    """

    standby: Standby
    limiter: Limiter

    def apply(self, digest: str, operation: Operation) -> Answer:
        """The answer to one operation, as `machine.apply` states it."""
        ...

    def apply_many(self, requests: Sequence[tuple[str, Operation]]) -> list[Answer]:
        """The answers to several operations, in order, in one round trip; each is atomic, all together are not."""
        ...

    def pipeline(self) -> Pipeline:
        """Takes batches as `apply_many` does; where it can, it sends one while the server works on another."""
        ...

    def apply_each(
        self, requests: Sequence[tuple[str, Operation]], within_ms: int | None = None
    ) -> list[Answer | StoreUnavailableError]:
        """As `apply_many`, with an error in the place of an answer that did not come.

        Args:
            within_ms: about how long to wait at most, trying nothing twice; None is as patient as the others.

        Raises:
            StoreUnavailableError: none came.
        """
        ...

    def read(self, digest: str) -> Record | None:
        """The record; None if there is none. Changes nothing."""
        ...

    def read_many(self, digests: Sequence[str]) -> list[Record | None]:
        """As `read`, of several keys in one round trip."""
        ...

    def due(self, within_ms: int, limit: int) -> list[Due]:
        """At most `limit` keys whose message anyone may publish within that time, the overdue before the others.

        The overdue are in another order each time, so that those that nobody can do do not hide the rest.
        """
        ...

    def take_turn(self, name: str, period_ms: int) -> bool:
        """Whether the caller is the first in `period_ms` to ask for the turn of that name."""
        ...

    def ticks(self) -> tuple[Mapping[str, int], int]:
        """The last moment of each schedule that was submitted, and the store's clock; in ms since the Unix epoch."""
        ...

    def ticked(self, name: str, moment_ms: int) -> None:
        """Remember that the schedule of that name has submitted this moment; an older one than the last is nothing."""
        ...

    def unfinished(self) -> int:
        """How many keys have work that is queued, running or waiting."""
        ...

    def announce(self, worker: str) -> None:
        """Say that a worker lives; it is forgotten `WORKER_SEEN_WITHIN_MS` later."""
        ...

    def workers(self) -> list[WorkerInfo]:
        """The workers that live."""
        ...

    def ping(self) -> None:
        """Return if the store answers."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


Filled = Callable[[Sequence[bytes]], T]
"""The answer to an operation with these values in the places of its marks; None where `apply` is to be asked."""


@runtime_checkable
class HasStencils(Protocol[T_co]):
    """A store that can write an operation down before all of it is known; to be awaited, where it is an async one."""

    def stencil(self, digest: str, admit: Admit, marks: Sequence[str], sized: int) -> Filled[T_co] | None:
        """What carries that operation out once the values are there; None where it cannot be written down.

        Args:
            marks: what stands for the values, in their order, in the digest and in the operation.
            sized: the first so many values are always as long as their marks.
        """
        ...


class AsyncStore(Protocol):
    """What a producer needs of a store, without blocking an event loop; else as `Store`."""

    async def apply(self, digest: str, operation: Operation) -> Answer:
        """The answer to one operation."""
        ...

    async def apply_many(self, requests: Sequence[tuple[str, Operation]]) -> list[Answer]:
        """The answers to several operations, in one round trip."""
        ...

    def pipeline(self) -> AsyncPipeline:
        """As that of a `Store`."""
        ...

    async def read(self, digest: str) -> Record | None:
        """The record; None if there is none."""
        ...

    async def unfinished(self) -> int:
        """How many keys have work without an outcome."""
        ...

    async def workers(self) -> list[WorkerInfo]:
        """The workers that live."""
        ...

    async def ping(self) -> None:
        """Return if the store answers."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
