"""What the engine tells whoever watches it. An observer is told what was decided, and decides nothing."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from queues.idempotency.state import State
from queues.message import Message, trace_of
from queues.run import Run

logger = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    RETRIED = "retried"
    """It failed, and another attempt is on its way."""
    CANCELLED = "cancelled"
    RELEASED = "released"
    """It gave the right to run back unused."""
    FENCED = "fenced"
    """It had lost the right to run: what it had to say was refused."""
    UNWRITTEN = "unwritten"
    """The process was stopping, and no server took the outcome."""


class Reason(StrEnum):
    """Why a delivery was put off."""

    BUSY = "busy"
    """The same work runs elsewhere."""
    FENCED = "fenced"
    """The run lost its lease; a copy will be answered by the winner's outcome."""
    NO_STORE = "no_store"
    """The store did not answer."""
    LIMITED = "limited"
    """The task's rate or its concurrency did not let the run begin."""


class Observer:
    """Watches the engine; every method does nothing, to be overridden where something is to be done.

    They are called in the thread that does the work, before it goes on: they must not block.
    """

    def carried(self, message: Message) -> Mapping[str, str]:
        """The trace headers that are to travel with a message that is about to be submitted."""
        return {}

    def sent(self, message: Message, decision: str, owner: str) -> None:
        """A submission was answered.

        Args:
            decision: a `Decision`; or `published`, when a task system's own message will be answered by its worker.
            owner: id of the message that stands for the work.
        """

    def unsent(self, message: Message, error: BaseException) -> None:
        """A submission was refused, or no server answered it."""

    def began(self, run: Run) -> None:
        """The task's function is about to be called, in this thread or from it."""

    def left(self, run: Run) -> None:
        """The function has returned or raised; told in the thread that told `began`."""

    def ended(self, run: Run, outcome: Outcome, run_ms: int) -> None:
        """A run's right to run has ended; told once, in any thread.

        Args:
            run_ms: since the right was given. Of a run that was released, the function may not have been called.
        """

    def replayed(self, message: Message) -> None:
        """A delivery was answered by the stored outcome."""

    def deferred(self, message: Message, reason: Reason) -> None:
        """A delivery was put off: a copy was published for later."""

    def unguarded(self, message: Message) -> None:
        """A `fail_open` task is run although the store does not answer."""

    def lease_lost(self, run: Run) -> None:
        """The heartbeat found that a running task has no lease any more, and stops it."""

    def recovered(self, message: Message, state: State) -> None:
        """The message of overdue work, which was in that state, is published again."""


class Observers(Observer):
    """Several observers as one.

    An error of an observer keeps neither the task nor the other observers from going on: it is logged, once for
    each method.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self.each = tuple(observers)
        self._complained: set[str] = set()

    def carried(self, message: Message) -> Mapping[str, str]:
        """What any of them adds."""
        return {k: v for o in self.each for k, v in trace_of(self._ask(o.carried, message)).items()}

    def sent(self, message: Message, decision: str, owner: str) -> None:
        """Tell each."""
        for observer in self.each:
            self._ask(observer.sent, message, decision, owner)

    def unsent(self, message: Message, error: BaseException) -> None:
        """Tell each."""
        for observer in self.each:
            self._ask(observer.unsent, message, error)

    def began(self, run: Run) -> None:
        """Tell each."""
        for observer in self.each:
            self._ask(observer.began, run)

    def left(self, run: Run) -> None:
        """Tell each, the first last: what one began before the others, it ends after them."""
        for observer in reversed(self.each):
            self._ask(observer.left, run)

    def ended(self, run: Run, outcome: Outcome, run_ms: int) -> None:
        """Tell each."""
        for observer in self.each:
            self._ask(observer.ended, run, outcome, run_ms)

    def replayed(self, message: Message) -> None:
        """Tell each."""
        for observer in self.each:
            self._ask(observer.replayed, message)

    def deferred(self, message: Message, reason: Reason) -> None:
        """Tell each."""
        for observer in self.each:
            self._ask(observer.deferred, message, reason)

    def unguarded(self, message: Message) -> None:
        """Tell each."""
        for observer in self.each:
            self._ask(observer.unguarded, message)

    def lease_lost(self, run: Run) -> None:
        """Tell each."""
        for observer in self.each:
            self._ask(observer.lease_lost, run)

    def recovered(self, message: Message, state: State) -> None:
        """Tell each."""
        for observer in self.each:
            self._ask(observer.recovered, message, state)

    def _ask(self, method: Callable[..., Any], *arguments: object) -> Any:
        try:
            return method(*arguments)
        except Exception:  # whatever it is, it is the observer's, and not the task's
            name = method.__qualname__
            if name not in self._complained:
                self._complained.add(name)
                logger.exception("%s failed; it will be called again, and not be logged again", name)
            return None


@contextmanager
def published(observer: Observer, message: Message) -> Iterator[None]:
    """Tell of a task system's own message, which is published in this block."""
    try:
        yield
    except BaseException as exc:
        observer.unsent(message, exc)
        raise
    observer.sent(message, "published", message.id)


def observing(*observers: Observer | None) -> Observer:
    """One observer of these, whose errors stay its own."""
    chosen = [observer for observer in observers if observer is not None]
    return Observers(chosen) if chosen else Observer()
