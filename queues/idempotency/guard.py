"""The guard wraps the task's function: begin, run, and one of complete, wait, fail and release.

It is never a hook before or after: Celery's signals and Dramatiq's hooks swallow exceptions, and a hook that cannot
reach the store would silently let the task run.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from queues.clock import Clock
from queues.errors import BrokerUnavailableError, InvalidMessageError, StoreUnavailableError
from queues.idempotency import envelope
from queues.idempotency.burial import LETTER_TTL_MS
from queues.idempotency.heartbeat import HeartbeatThread
from queues.idempotency.machine import UNPUBLISHED_TTL_MS
from queues.idempotency.refusal import Refused, refused
from queues.idempotency.state import (
    Answer,
    Begin,
    Complete,
    Fail,
    Heartbeat,
    Kind,
    Operation,
    Release,
    Wait,
)
from queues.idempotency.store import Store
from queues.idempotency.worker import new_execution
from queues.message import Message
from queues.observer import Observer, Outcome
from queues.once import Once
from queues.run import Run

logger = logging.getLogger(__name__)
T = TypeVar("T")
Begun = tuple[Answer, Run | None]

FIRST_PAUSE_MS = 50
LONGEST_PAUSE_MS = 2_000
STOPPING_PATIENCE_MS = 5_000
"""A worker that is told to stop while no server answers waits this much longer, to give its work back."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a run that is still to be written.

    Args:
        run_ms: how long the run took.
    """

    run: Run
    operation: Operation
    run_ms: int


class Guard:
    """Gives and ends the right to run.

    Args:
        stopping: set when the process is about to end; nothing is waited for then.
        backend: whose worker runs the tasks, for those who look at the records.
        letter_ms: how long dead letters are kept; 0 keeps none.
        heartbeat: renews the leases; None makes one.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        stopping: threading.Event,
        observer: Observer | None = None,
        backend: str = "",
        letter_ms: int = LETTER_TTL_MS,
        heartbeat: HeartbeatThread | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.stopping = stopping
        self.observer = observer or Observer()
        self.letter_ms = letter_ms
        self._backend = backend
        self._heartbeat = heartbeat or HeartbeatThread(store, clock, observer)

    def begin(self, message: Message, policy: Once) -> Begun:
        """Ask for the right to run; a run whose lease is renewed from now on, when it is given.

        Raises:
            StoreUnavailableError: nothing is known, so the task must not run.
        """
        begun_ms = self.clock.monotonic_ms()
        answer = self.store.apply(message.digest, self._begin(message, policy))
        return self._begun(message, policy, answer, begun_ms)

    def begin_many(self, wanted: Sequence[tuple[Message, Once]]) -> list[Begun | StoreUnavailableError]:
        """As `begin` of each, in one round trip, with an error in the place of what is not known.

        Raises:
            StoreUnavailableError: nothing is known of any.
        """
        begun_ms = self.clock.monotonic_ms()
        answers = self.store.apply_each([(m.digest, self._begin(m, policy)) for m, policy in wanted])
        begun: list[Begun | StoreUnavailableError] = []
        for (message, policy), answer in zip(wanted, answers, strict=True):
            if isinstance(answer, StoreUnavailableError):
                begun.append(answer)
                continue
            try:
                begun.append(self._begun(message, policy, answer, begun_ms))
            except StoreUnavailableError as exc:
                # Those before it are renewed from now on: whoever asked must know of them.
                begun.append(exc)
        return begun

    def may_start(self, run: Run, policy: Once) -> bool:
        """Whether a run that was begun a while ago may start now; else it is over, and the work is to be begun again.

        A process that was stopped meanwhile, or whose threads did not get to run, has not noticed that its lease ended.
        """
        if self.clock.monotonic_ms() - self._heartbeat.renewed_ms(run) <= run.lease_ms // 2:
            return True
        try:
            if self._is_held(run, policy):
                return True
        except StoreUnavailableError as exc:
            logger.warning("%s is begun again: %s", run.message.id, exc)
        self._heartbeat.forget(run)
        return False

    def _begin(self, message: Message, policy: Once) -> Begin:
        return Begin(
            message.fingerprint,
            message.id,
            message.encoded(),
            execution=new_execution(self._backend),
            retries=message.retries,
            lease_ms=policy.lease_ms,
            max_lost=policy.max_lost,
            ttl_ms=policy.lock_ttl_ms,
            letter_ms=self.letter_ms,
            begin_by_ms=message.begin_by_ms,
        )

    def _begun(self, message: Message, policy: Once, answer: Answer, begun_ms: int) -> Begun:
        if answer.kind is not Kind.RUN:
            return answer, None
        if answer.message:  # its arguments were replaced while it was queued
            try:
                newer = Message.decoded(answer.message)
            except InvalidMessageError as exc:
                return self._refused(message.digest, policy, answer, exc), None
            message = replace(message, args=newer.args, kwargs=newer.kwargs, fingerprint=newer.fingerprint)
        run = Run(
            message,
            token=answer.token,
            lease_ms=policy.lease_ms,
            attempt=answer.retries + 1,
            created_ms=answer.created_ms,
            lost=answer.lost,
            begun_ms=self.clock.monotonic_ms(),
        )
        if self.clock.monotonic_ms() - begun_ms > policy.lease_ms // 2 and not self._is_held(run, policy):
            # The reply was late: by now another run may have the right.
            return replace(answer, kind=Kind.BUSY, wait_ms=policy.lease_ms), None
        self._heartbeat.watch(run, begun_ms, policy.lock_ttl_ms)
        return answer, run

    def _refused(self, digest: str, policy: Once, answer: Answer, error: InvalidMessageError) -> Answer:
        # What is to be run was written by a newer version: kept as a dead letter, for a worker of that version.
        outcome = envelope.of_failure(envelope.failure_of(error))
        request = Fail(answer.token, outcome, is_cached=False, ttl_ms=policy.ttl_ms, letter_ms=self.letter_ms)
        ended = self.insist(lambda: self.store.apply(digest, request))
        return replace(ended, kind=Kind.REPLAY_ERROR, outcome=outcome)

    def _is_held(self, run: Run, policy: Once) -> bool:
        renewal = Heartbeat(run.token, run.lease_ms, policy.lock_ttl_ms)
        return self.store.apply(run.message.digest, renewal).kind is not Kind.FENCED

    def complete(self, run: Run, policy: Once, outcome: bytes) -> bool:
        """Store the outcome; False when another run has the right, and nothing was written."""
        return self._end(run, Complete(run.token, outcome, policy.ttl_ms, policy.replicas)).kind is Kind.OK

    def ending(self, run: Run, policy: Once, outcome: bytes) -> Ending:
        """The end of a run, to be written by `end_many`; until then its lease is renewed."""
        run.is_ending = True
        run_ms = self.clock.monotonic_ms() - run.begun_ms
        return Ending(run, Complete(run.token, outcome, policy.ttl_ms, policy.replicas), run_ms)

    def end_many(self, endings: Sequence[Ending]) -> list[Ending]:
        """Store these outcomes, in one round trip; what the store said is each run's `answer`.

        Returns:
            Those that the store did not take: they are to be ended again.

        Raises:
            StoreUnavailableError: the process is stopping, and there is no answer; all may be ended again.
        """
        requests = [(ending.run.message.digest, ending.operation) for ending in endings]
        answers = self.insist(lambda: self.store.apply_each(requests))
        left: list[Ending] = []
        for ending, answer in zip(endings, answers, strict=True):
            if isinstance(answer, StoreUnavailableError):
                logger.warning("the end of %s is not stored yet: %s", ending.run.message.id, answer)
                left.append(ending)
            else:
                ending.run.answer = answer
                self._ended(ending.run, ending.operation, ending.run_ms)
        return left

    def wait(self, run: Run, policy: Once, message: Message, delay_ms: int, *, is_held: bool = False) -> Answer:
        """Put the work off; before its next message is published, so that a lost publication is seen.

        Args:
            is_held: nobody publishes the message before it is due.
        """
        after_ms = max(policy.lease_ms, 1000)
        ttl_ms = UNPUBLISHED_TTL_MS if is_held else policy.lock_ttl_ms
        request = Wait(run.token, message.encoded(), message.retries, delay_ms, after_ms, ttl_ms, is_held)
        return self._end(run, request)

    def fail(self, run: Run, policy: Once, error: BaseException, *, is_dead: bool = True) -> bool:
        """Store the failure; False when another run has the right, and nothing was written.

        Args:
            is_dead: whether a dead letter is kept of it.
        """
        outcome = envelope.of_failure(envelope.failure_of(error))
        letter_ms = self.letter_ms if is_dead else 0
        request = Fail(run.token, outcome, policy.caches(error), policy.ttl_ms, policy.replicas, letter_ms)
        return self._end(run, request).kind is Kind.OK

    def refuse(self, what: Refused, error: BaseException) -> None:
        """Keep a dead letter of what cannot be run; only after that may the broker forget it.

        Raises:
            StoreUnavailableError: the process is stopping, and there is no answer.
        """
        digest, bury = refused(what, error, self.letter_ms)
        self.insist(lambda: self.store.apply(digest, bury))

    def release(self, run: Run, policy: Once, *, is_forgotten: bool = False) -> bool:
        """Give the right back unused; False when it was lost before.

        Args:
            is_forgotten: there is no message that will ask for it again.
        """
        request = Release(run.token, policy.lease_ms, policy.lock_ttl_ms, is_forgotten)
        return self._end(run, request).kind is Kind.OK

    def put_off(self, run: Run, policy: Once, delay_ms: int) -> Answer:
        """Give the right back unused, of work whose message will ask for it again after `delay_ms`."""
        return self._end(run, Release(run.token, delay_ms + policy.lease_ms, policy.lock_ttl_ms))

    def _end(self, run: Run, operation: Operation) -> Answer:
        # The lease is renewed until the end is written: a store that is away for a while costs no second run.
        run_ms = self.clock.monotonic_ms() - run.begun_ms
        run.is_ending = True
        try:
            answer = self.insist(lambda: self.store.apply(run.message.digest, operation))
            run.answer = answer
            return answer
        finally:
            self._ended(run, operation, run_ms)

    def _ended(self, run: Run, operation: Operation, run_ms: int) -> None:
        is_told, run.is_ended = run.is_ended, True  # a run whose time was over is ended by two threads
        self._heartbeat.forget(run)
        if not is_told:
            self.observer.ended(run, _outcome(operation, run.answer), run_ms)

    def insist(self, step: Callable[[], T]) -> T:
        """The step's answer, asked for again while the store or the broker does not answer.

        Without them the worker could do nothing else, and what it has done may still be written: an outcome is
        taken after its lease, as long as nobody else has begun.

        Raises:
            StoreUnavailableError, BrokerUnavailableError: the process is stopping, and there is no answer.
        """
        pause_ms, patience_ms = FIRST_PAUSE_MS, STOPPING_PATIENCE_MS
        while True:
            try:
                return step()
            except (StoreUnavailableError, BrokerUnavailableError) as exc:
                if self.stopping.is_set():
                    if patience_ms <= 0:
                        raise
                    patience_ms -= pause_ms
                    time.sleep(pause_ms / 1000)
                logger.warning("asking again in %d ms: %s", pause_ms, exc)
            self.stopping.wait(pause_ms / 1000)
            pause_ms = min(pause_ms * 2, LONGEST_PAUSE_MS)


def _outcome(operation: Operation, answer: Answer | None) -> Outcome:
    if answer is None:
        return Outcome.UNWRITTEN
    match answer.kind, operation:
        case Kind.CANCELLED, _:
            return Outcome.CANCELLED
        case Kind.OK, Complete():
            return Outcome.COMPLETED
        case Kind.OK, Wait():
            return Outcome.RETRIED
        case Kind.OK, Fail():
            return Outcome.FAILED
        case Kind.OK, _:
            return Outcome.RELEASED
        case _:
            return Outcome.FENCED
