"""Run one message: decode, look up, begin, call, and turn what came of it into what the broker is told."""

import logging
import random
import time
from collections.abc import Callable
from typing import Any

from queues.backoff import Retry
from queues.disposition import Deferred, Disposition, Done, Dropped, Failed, Raised, Retrying, skipped
from queues.errors import (
    BrokerUnavailableError,
    InvalidMessageError,
    KeyConflictError,
    LeaseLostError,
    StoreUnavailableError,
    TaskCancelledError,
    TimeLimitError,
    UnencodableError,
)
from queues.idempotency import envelope
from queues.idempotency.guard import Begun, Ending, Guard
from queues.idempotency.machine import HOLD_AFTER_MS, QUEUE_WAIT_MS
from queues.idempotency.state import Answer, Kind, State
from queues.limits.gate import Gate
from queues.limits.timed import TimedCalls
from queues.logs import about
from queues.message import Message
from queues.observer import Reason
from queues.once import REPLACING, Once
from queues.run import Run
from queues.task import AnyTask
from queues.tasks import Tasks

logger = logging.getLogger(__name__)

STORE_AWAY_DELAY_MS = 5_000
MAX_JITTER_MS = 1_000
LONGEST_BUSY_WAIT_MS = 2_000
"""How long a copy of running work is put off. Not to the lease's end: most runs end long before theirs, and a chain
or a chord waits for the copy's answer."""
SHORTEST_HELD_WAIT_MS = 500
"""The message of work that is due is published by recovery a moment after its time."""
MAX_RESULT_BYTES = 16 * 1024 * 1024


Publish = Callable[[Message, int], None]
Later = Callable[[Ending], None]


class Executor:
    """Runs messages in a worker.

    Args:
        publish: puts a message on its queue, to be delivered after so many ms.
        failures: exceptions outside `Exception` that mean that the task failed, as a time limit.
    """

    def __init__(
        self, tasks: Tasks, guard: Guard, publish: Publish, failures: tuple[type[BaseException], ...] = ()
    ) -> None:
        self.tasks = tasks
        self.guard = guard
        self._publish = publish
        self._gate = Gate(guard.store)
        self.timed = TimedCalls(guard, self._publish_following)
        self._failures: tuple[type[BaseException], ...] = (Exception, *failures)

    def execute(self, message: Message, begun: Begun | None = None, later: Later | None = None) -> Disposition:
        """Run the message, or answer it, wait for it, or give it up.

        Args:
            begun: what the store has said to its beginning; None asks now.
            later: takes the end of a run that has a result, and writes it before the message is acknowledged; `settle`
                follows. None writes it now.

        Raises:
            TaskNotFoundError: no such task here; dead-letter it.
            BaseException: what ends the process; the work was put back before.
        """
        with about(message):
            return self._execute(message, begun, later)

    def _execute(self, message: Message, begun: Begun | None, later: Later | None) -> Disposition:
        task = self.tasks.get(message.task)
        policy = task.policy
        try:
            answer, run = begun or self.guard.begin(message, policy)
        except StoreUnavailableError as exc:
            return self._without_store(task, message, exc)
        if run is None:
            self._publish_following(answer.message)
            return self._answered(message, policy, answer)
        try:
            return self._let_in(task, policy, run) if task.is_gated else self._run(task, policy, run, later)
        finally:
            self._gate.leave(run)
            self._publish_following(run.following)

    def _answered(self, message: Message, policy: Once, answer: Answer) -> Disposition:
        match answer.kind:
            case Kind.REPLAY | Kind.REPLAY_ERROR | Kind.DEAD:
                self.guard.observer.replayed(message)
                value, failure = envelope.opened(answer.outcome)
                return Done(value, is_replay=True) if failure is None else Failed(failure)
            case Kind.FENCED:
                return Dropped()  # it has run, and another run followed it
            case Kind.CONFLICT if _gave_way(message, policy):
                return Dropped()  # its arguments have run or were replaced, and newer ones came after them
            case Kind.CONFLICT:
                error = KeyConflictError(message.digest)
                self.guard.refuse(message, error)
                return Failed(envelope.failure_of(error), error)
            case Kind.HELD if answer.owner == message.id:
                return Dropped()  # the record publishes it when it is due
            case Kind.BUSY_SELF if policy.lossy:
                return Dropped()  # the run of this very message will answer
            case _ if policy.lossy:
                return Done(skipped(message.task, answer.owner), is_replay=True)
            case _:
                is_running = answer.state is State.RUNNING
                # No message waits for longer in a worker's memory, where its broker would deliver it again.
                wait_ms = min(answer.wait_ms, LONGEST_BUSY_WAIT_MS if is_running else HOLD_AFTER_MS)
                if answer.kind is Kind.HELD:
                    wait_ms = max(wait_ms, SHORTEST_HELD_WAIT_MS)
                return self._defer(message, wait_ms, Reason.BUSY, f"{answer.kind.value} until {answer.owner} ends")

    def _let_in(self, task: AnyTask, policy: Once, run: Run) -> Disposition:
        try:
            wait_ms = self._gate.enter(task, run)
        except self._failures as exc:
            return self._failed(task, policy, run, exc)
        except BaseException:
            self._put_back(policy, run)
            raise
        return self._put_off(task, policy, run, wait_ms) if wait_ms else self._run(task, policy, run)

    def settle(self, run: Run) -> None:
        """What follows when the end of a run, which was left for later, is written."""
        self._publish_following(run.following)
        if run.answer is None or run.answer.kind is not Kind.OK:
            self._fenced(self.tasks.get(run.message.task), run)

    def give_back(self, run: Run) -> None:
        """End a run whose function was not called, and whose message is put back on its queue by the caller."""
        self.guard.release(run, self.tasks.get(run.message.task).policy)

    def pass_over(self, run: Run) -> None:
        """End a run whose function was not called, and whose message is gone: the record is as if none had begun."""
        self.guard.put_off(run, self.tasks.get(run.message.task).policy, QUEUE_WAIT_MS)

    def _run(self, task: AnyTask, policy: Once, run: Run, later: Later | None = None) -> Disposition:
        try:
            run.check()  # it may have waited at the gate
            value = self._called(task, run)
            outcome = envelope.of_value(value, MAX_RESULT_BYTES)
        except LeaseLostError as exc:
            if not (run.is_lost or run.is_ended):
                return self._failed(task, policy, run, exc)  # the task's own, of other work
            logger.warning("%s stopped: %s", run.message.id, exc)
            return Deferred(0, str(exc)) if self._put_back(policy, run) else self._fenced(task, run)
        except self._failures as exc:
            return self._failed(task, policy, run, exc)
        except BaseException:
            self._put_back(policy, run)
            raise
        if later is not None:
            later(self.guard.ending(run, policy, outcome))
        elif not self.guard.complete(run, policy, outcome):
            return self._fenced(task, run)
        return Done(value)

    def _called(self, task: AnyTask, run: Run) -> Any:
        self.guard.observer.began(run)
        try:
            return self.timed.call(task, run)
        finally:
            self.guard.observer.left(run)

    def _failed(self, task: AnyTask, policy: Once, run: Run, error: BaseException) -> Disposition:
        if task.is_foreign and not isinstance(error, UnencodableError):
            return Raised(error, run)
        delay_ms = _delay_ms(task, run.attempt - 1, error)
        if delay_ms is None:
            written = self.guard.fail(run, policy, error)
            return Failed(envelope.failure_of(error), error) if written else self._fenced(task, run)
        message = run.message.retried(run.attempt)
        # What its task system must be told, or what something waits for, goes on by a message of its own.
        is_held = delay_ms > HOLD_AFTER_MS and not message.options
        answer = self.guard.wait(run, policy, message, delay_ms, is_held=is_held)
        if answer.kind is Kind.CANCELLED:
            cancelled = TaskCancelledError(message.digest)
            return Failed(envelope.failure_of(cancelled), cancelled)
        if answer.kind is not Kind.OK:
            return self._fenced(task, run)
        if not is_held:
            # Not left to recovery: a duplicate may take the record over, and then this message is in no queue.
            self.guard.insist(lambda: self._publish(message, delay_ms))
        return Retrying(error, delay_ms)

    def end_raised(self, task: AnyTask, run: Run, error: BaseException, *, is_dead: bool = True) -> bool:
        """Store the failure of a run that raised; False when it was fenced, and a copy will be answered instead.

        Args:
            is_dead: whether a dead letter is kept of it.
        """
        written = self.guard.fail(run, task.policy, error, is_dead=is_dead)
        self._publish_following(run.following)
        if not written:
            self._fenced(task, run)
        return written

    def _fenced(self, task: AnyTask, run: Run) -> Disposition:
        has_failed = run.answer is not None and run.answer.state is State.FAILED
        if run.is_over and (has_failed or not run.is_lost):
            error = TimeLimitError(run.message.digest, task.time_limits.hard_s or 0.0)
            return Failed(envelope.failure_of(error), error)  # stored already, by the alarm
        logger.warning("%s was fenced: what it did under token %d is not stored", run.message.id, run.token)
        is_forgotten = run.answer is not None and run.answer.state is State.UNKNOWN
        if task.is_foreign or run.message.options or is_forgotten:
            # The winner may be another message; what waits for this one is answered by a copy, from the outcome.
            # Or there is none: the process was paused until the record expired.
            return self._defer(run.message, run.lease_ms, Reason.FENCED, "fenced")
        return Dropped()

    def _defer(self, message: Message, wait_ms: int, why: Reason, reason: str) -> Deferred:
        jitter_ms = random.randrange(10, 10 + max(1, min(wait_ms // 4, MAX_JITTER_MS)))
        return self._publish_later(message, wait_ms + jitter_ms, why, reason)

    def _publish_later(self, message: Message, delay_ms: int, why: Reason, reason: str) -> Deferred:
        self.guard.insist(lambda: self._publish(message, delay_ms))
        self.guard.observer.deferred(message, why)
        logger.info("%s deferred by %d ms: %s", message.id, delay_ms, reason)
        return Deferred(delay_ms, reason)

    def _put_off(self, task: AnyTask, policy: Once, run: Run, wait_ms: int) -> Disposition:
        # The record is overdue only when the copy is: recovery does not publish it again meanwhile.
        answer = self.guard.put_off(run, policy, wait_ms)
        if answer.kind is Kind.CANCELLED:
            cancelled = TaskCancelledError(run.message.digest)
            return Failed(envelope.failure_of(cancelled), cancelled)
        if answer.kind is not Kind.OK:
            return self._fenced(task, run)
        return self._publish_later(run.message, wait_ms, Reason.LIMITED, "a limit of its task")

    def _publish_following(self, following: bytes) -> None:
        if following:
            try:
                self._publish(Message.decoded(following), 0)
            except (BrokerUnavailableError, InvalidMessageError) as exc:
                logger.warning("a run that follows is left to recovery: %s", exc)

    def _put_back(self, policy: Once, run: Run) -> bool:
        # Another worker may begin at once, from a copy, unless one already has.
        is_ours = self.guard.release(run, policy)
        if is_ours:
            self.guard.insist(lambda: self._publish(run.message, 0))
        return is_ours

    def _without_store(self, task: AnyTask, message: Message, error: StoreUnavailableError) -> Disposition:
        if not task.policy.fail_open:
            return self._defer(message, STORE_AWAY_DELAY_MS, Reason.NO_STORE, str(error))
        self.guard.observer.unguarded(message)
        logger.warning("%s runs unguarded: %s", message.id, error)
        run = Run(message, token=time.time_ns() // 1000, lease_ms=0, attempt=message.retries + 1, created_ms=0)
        try:
            return Done(self.timed.call(task, run))
        except self._failures as exc:
            delay_ms = _delay_ms(task, message.retries, exc)
            if delay_ms is None or task.is_foreign:
                return Failed(envelope.failure_of(exc), exc)
            self._publish(message.retried(message.retries + 1), delay_ms)
            return Retrying(exc, delay_ms)


def _gave_way(message: Message, policy: Once) -> bool:
    # With these policies only the producer makes such an id, and it publishes nothing that the record did not take.
    is_producers = message.id.startswith(f"{message.digest}-") and not message.options
    return policy.on_duplicate in REPLACING and is_producers


def _delay_ms(task: AnyTask, retries: int, error: BaseException) -> int | None:
    # A result that has no encoding will have none in the next attempt either.
    final = (*task.give_up_on, TaskCancelledError, TimeLimitError, UnencodableError)
    if isinstance(error, final) or retries >= (task.max_retries or 0):
        return None
    if not isinstance(error, (*task.retry_for, Retry)):
        return None
    if isinstance(error, Retry) and error.delay is not None:
        return max(0, round(error.delay * 1000))
    return task.backoff.delay_ms(retries)
