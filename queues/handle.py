"""What a submission returns: a view of the work, found by its id alone."""

import asyncio
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from queues.clock import Clock
from queues.errors import Failure, InvalidOptionError, ResultTimeoutError, TaskFailedError
from queues.idempotency import envelope
from queues.idempotency.state import Cancel, Kind, Record, State
from queues.idempotency.store import AsyncStore, Store

FIRST_POLL_MS = 5
SLOWEST_POLL_MS = 200


class Decision(StrEnum):
    """What came of a submission."""

    EXECUTED = "executed"
    """It was accepted and published."""
    JOINED = "joined"
    """The same work was queued or running; the handle is the first one's."""
    REPLAYED = "replayed"
    """The same work had an outcome; the handle holds it."""
    REPLACED = "replaced"
    """The same work was queued, and has the newer arguments now; the handle is the first one's."""
    FOLLOWS = "follows"
    """The same work was running; another run, with the newest arguments, will follow it."""
    SKIPPED = "skipped"
    """The same work was queued or running, and the task says `on_duplicate="skip"`."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task says it is; `total` is None while it does not know."""

    done: int
    total: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """The work as the store shows it at one moment.

    Args:
        id: of the message that stands for the work.
        key: the digest that names the work.
        attempt: the number of the current or last attempt; 0 before the first.
        lost: workers that died while running it since the last run that ended by itself.
        retry_in_ms: until the next attempt is due, while waiting for it; else None.
        due_in_ms: until queued work may begin, while that is known: it is delayed for more than a minute, or debounced.
        lease_ends_ms: when the running worker's lease ends, on the store's clock; else None.
        token: the last fencing token; 0 before the first run.
        created_ms, finished_ms: when it was asked for and when it ended, on the store's clock; 0 and None where it
            was, or has, not.
    """

    id: str
    key: str
    state: State
    attempt: int = 0
    progress: Progress | None = None
    result: Any = None
    error: Failure | None = None
    token: int = 0
    lost: int = 0
    retry_in_ms: int | None = None
    lease_ends_ms: int | None = None
    created_ms: int = 0
    finished_ms: int | None = None
    is_cancel_asked: bool = False
    due_in_ms: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether there is an outcome."""
        return self.state in (State.COMPLETED, State.FAILED, State.DEAD)


@dataclass(frozen=True, slots=True)
class Access:
    """How handles reach the store; one is shared by all handles of a queue.

    Args:
        pause: lets up to so many ms pass; a backend in this process works meanwhile.
        cancelled_ttl_ms: how long a cancellation is kept.
    """

    store: Store
    async_store: AsyncStore
    clock: Clock
    pause: Callable[[int], None]
    cancelled_ttl_ms: int = 3_600_000


class Handle:
    """The work of one submission. What asks the store raises StoreUnavailableError when it does not answer.

    Args:
        id: of the message that stands for the work; of the first one, where this submission joined it.
        key: the digest that names the work.
        decision: what came of the submission; EXECUTED for a handle made from an id.
        answer: the result of a submission that was skipped.
        outcome: the stored one, where the submission was answered by it; `result` asks nobody then.
    """

    def __init__(
        self,
        access: Access,
        id: str,  # noqa: A002 - the public name
        key: str,
        decision: Decision,
        answer: Any = None,
        outcome: bytes = b"",
    ) -> None:
        self.id = id
        self.key = key
        self.decision = decision
        self._access = access
        self._answer = answer
        self._outcome = outcome

    def __repr__(self) -> str:
        return f"<Handle {self.id} {self.decision.value}>"

    @property
    def state(self) -> State:
        """Where the work stands now."""
        return self.status().state

    def status(self) -> Status:
        """The work as the store shows it now."""
        return status_of(self.id, self.key, self._access.store.read(self.key), self._access.clock.now_ms())

    async def status_async(self) -> Status:
        """As `status`, without blocking the event loop."""
        record = await self._access.async_store.read(self.key)
        return status_of(self.id, self.key, record, self._access.clock.now_ms())

    def result(self, timeout: float = 10.0) -> Any:
        """The outcome, waited for.

        Args:
            timeout: seconds; 0 looks once.

        Raises:
            TaskFailedError: the outcome is a failure.
            ResultTimeoutError: none within `timeout`, or it has expired; the task goes on.
            InvalidOptionError: `timeout` is no finite number.
        """
        if self.decision is Decision.SKIPPED:
            return self._answer
        if self._outcome:
            return _opened(self._outcome)
        clock, poll_ms = self._access.clock, FIRST_POLL_MS
        deadline_ms = clock.monotonic_ms() + _waited_ms(timeout)
        while not (status := self.status()).is_final:
            left_ms = deadline_ms - clock.monotonic_ms()
            if left_ms <= 0:
                raise ResultTimeoutError(self.id, status.state)
            self._access.pause(min(poll_ms, left_ms))
            poll_ms = min(poll_ms * 2, SLOWEST_POLL_MS)
        return _outcome(status)

    async def result_async(self, timeout: float = 10.0) -> Any:  # noqa: ASYNC109 - the twin of `result`
        """As `result`, without blocking the event loop."""
        if self.decision is Decision.SKIPPED:
            return self._answer
        if self._outcome:
            return _opened(self._outcome)
        clock, poll_ms = self._access.clock, FIRST_POLL_MS
        deadline_ms = clock.monotonic_ms() + _waited_ms(timeout)
        while not (status := await self.status_async()).is_final:
            left_ms = deadline_ms - clock.monotonic_ms()
            if left_ms <= 0:
                raise ResultTimeoutError(self.id, status.state)
            await asyncio.sleep(min(poll_ms, left_ms) / 1000)
            poll_ms = min(poll_ms * 2, SLOWEST_POLL_MS)
        return _outcome(status)

    def cancel(self) -> bool:
        """Cancel work that has not begun, or ask it to stop; False when there is nothing to cancel."""
        return self._access.store.apply(self.key, Cancel(self._access.cancelled_ttl_ms)).kind is Kind.OK

    async def cancel_async(self) -> bool:
        """As `cancel`, without blocking the event loop."""
        answer = await self._access.async_store.apply(self.key, Cancel(self._access.cancelled_ttl_ms))
        return answer.kind is Kind.OK

    def explain(self) -> str:
        """The story of the work so far, for a person."""
        return explained(self.status(), self.decision)

    async def explain_async(self) -> str:
        """As `explain`, without blocking the event loop."""
        return explained(await self.status_async(), self.decision)


def status_of(message_id: str, key: str, record: Record | None, now_ms: int) -> Status:
    """What a record says of the work."""
    if record is None:
        return Status(message_id, key, State.UNKNOWN)
    result, error = envelope.opened(record.outcome) if record.outcome else (None, None)
    has_begun = record.token > 0
    return Status(
        record.owner,
        key,
        record.state,
        # While it waits, the retries already count the attempt to come.
        attempt=record.retries + (record.state is not State.WAITING) if has_begun else 0,
        progress=_progress(record.progress),
        result=result,
        error=error,
        token=record.token,
        lost=record.lost,
        retry_in_ms=max(0, record.until_ms - now_ms) if record.state is State.WAITING else None,
        lease_ends_ms=record.until_ms if record.state is State.RUNNING else None,
        created_ms=record.created_ms,
        finished_ms=record.finished_ms or None,
        is_cancel_asked=record.is_cancelled,
        due_in_ms=max(0, record.until_ms - now_ms) if record.state is State.QUEUED and record.until_ms else None,
    )


def explained(status: Status, decision: Decision) -> str:
    """Why the work stands where it stands, a sentence a fact."""
    lines = [f"{status.id} ({decision.value}): key {status.key} is {status.state.value}."]
    match status.state:
        case State.UNKNOWN:
            lines.append("Redis holds no record: it never was accepted, or its outcome has expired.")
        case State.QUEUED if status.due_in_ms:
            lines.append(f"Accepted; it is due in {status.due_in_ms} ms.")
        case State.QUEUED:
            lines.append("Accepted; no worker has begun it.")
        case State.RUNNING:
            lines.append(f"Attempt {status.attempt} runs under fencing token {status.token}.")
        case State.WAITING:
            lines.append(f"Attempt {status.attempt + 1} is due in {status.retry_in_ms} ms.")
        case State.COMPLETED:
            lines.append(f"Attempt {status.attempt} stored the outcome; repetitions get it without running.")
        case State.FAILED | State.DEAD if status.error is not None:
            lines.append(f"It ended with {status.error.type}: {status.error.message}.")
        case _:
            lines.append("It failed.")
    if status.lost:
        lines.append(f"{status.lost} worker(s) died or lost their lease while running it.")
    if status.is_cancel_asked:
        lines.append("It was asked to stop.")
    return "\n".join(lines)


def _opened(outcome: bytes) -> Any:
    value, failure = envelope.opened(outcome)
    if failure is not None:
        raise TaskFailedError(failure)
    return value


def _outcome(status: Status) -> Any:
    if status.error is not None:
        raise TaskFailedError(status.error)
    return status.result


def _progress(text: str) -> Progress | None:
    if not text:
        return None
    done, total, note = json.loads(text)
    return Progress(done, total, note)


def _waited_ms(timeout: object) -> int:
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not math.isfinite(timeout):
        msg = f"timeout={timeout!r}: seconds, a finite number"
        raise InvalidOptionError(msg)
    return round(timeout * 1000)
