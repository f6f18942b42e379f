"""What came of a delivery; each backend tells its broker in its own way."""

from dataclasses import dataclass
from typing import Any

from queues.errors import Failure
from queues.run import Run


@dataclass(frozen=True, slots=True)
class Done:
    """There is a result; ack. `is_replay` when it was stored before."""

    value: Any
    is_replay: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """There is a failure and no further attempt; dead-letter. `error` is None when it was stored before."""

    failure: Failure
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Retrying:
    """Another attempt was published; ack."""

    error: BaseException
    delay_ms: int


@dataclass(frozen=True, slots=True)
class Deferred:
    """A copy was published for later; ack, and store nothing."""

    delay_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """The lease was lost; ack, and store nothing: the winner's outcome stands."""


@dataclass(frozen=True, slots=True)
class Raised:
    """The task raised, and its task system decides on another attempt; the lease is held until it has."""

    error: BaseException
    run: Run


Disposition = Raised | Done | Failed | Retrying | Deferred | Dropped


def skipped(task: str, owner: str) -> dict[str, Any]:
    """What a skipped submission resolves to."""
    return {"status": "skipped", "reason": "duplicate_task", "task": task, "task_id": owner}
