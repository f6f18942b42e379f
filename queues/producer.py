"""The way of a submission: key, admit, publish, handle. One round trip where the broker is the store's Redis."""

import asyncio
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from queues.backend import Backend
from queues.call import Call
from queues.clock import Clock
from queues.disposition import skipped
from queues.errors import AlreadyRunningError, KeyConflictError, QueueError
from queues.handle import Access, Decision, Handle
from queues.idempotency import key as keys
from queues.idempotency.machine import HOLD_AFTER_MS, QUEUE_WAIT_MS, UNPUBLISHED_TTL_MS
from queues.idempotency.publication import Publication
from queues.idempotency.state import Admit, Answer, Confirm, Duplicate, Kind, Operation
from queues.idempotency.store import AsyncStore, Store
from queues.message import Message
from queues.observer import Observer
from queues.once import REPLACING
from queues.task import AnyTask

MAX_MESSAGE_BYTES = 1024 * 1024
PUBLISH_WITHIN_MS = 10_000
"""How long a producer may take between admitting a message and confirming that it is published."""
PIPELINE = 500


@dataclass(frozen=True, slots=True)
class Ask:
    """Apply these operations."""

    requests: list[tuple[str, Operation]]


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish these messages, each after its delay in ms."""

    messages: list[tuple[Message, int]]


@dataclass(frozen=True, slots=True)
class _Submission:
    task: AnyTask
    message: Message
    delay_ms: int
    is_held: bool
    publication: Publication | None

    @property
    def admit(self) -> Operation:
        """What reserves the work."""
        after_ms = PUBLISH_WITHIN_MS if self.publication is None else self.queue_wait_ms
        policy = self.task.policy
        ttl_ms = UNPUBLISHED_TTL_MS if self.publication is None else policy.lock_ttl_ms
        return Admit(
            self.message.fingerprint,
            self.message.id,
            self.message.encoded(MAX_MESSAGE_BYTES),
            after_ms,
            ttl_ms,
            self.publication,
            DUPLICATES.get(policy.on_duplicate, Duplicate.JOIN),
            self.delay_ms if self.is_held else policy.quiet_ms,
            policy.replicas,
            self.is_held,
        )

    @property
    def confirm(self) -> Operation:
        """What says that the message is on its queue."""
        return Confirm(self.message.id, self.queue_wait_ms, self.task.policy.lock_ttl_ms)

    @property
    def queue_wait_ms(self) -> int:
        """How long the message may go unstarted before others publish it.

        A message that is delayed, and not held, waits in a worker's memory: Celery's Redis transport gives those of
        a killed worker back after an hour only, so such a one counts as lost a lease after its time.
        """
        return self.delay_ms + self.task.policy.lease_ms if self.delay_ms else QUEUE_WAIT_MS


DUPLICATES = {"replace": Duplicate.REPLACE, "keep_last": Duplicate.FOLLOW, "debounce": Duplicate.FOLLOW}
Steps = Generator[Ask | Publish, list[Answer], list[Handle]]


class Producer:
    """Submits calls. The steps are written once, in `_steps`; they are carried out blocking or awaited."""

    def __init__(
        self,
        store: Store,
        async_store: AsyncStore,
        backend: Backend,
        clock: Clock,
        access: Access,
        observer: Observer | None = None,
    ) -> None:
        self._store = store
        self._async_store = async_store
        self._backend = backend
        self._clock = clock
        self._access = access
        self._observer = observer or Observer()

    def send(self, task: AnyTask, call: Call) -> Handle:
        """Submit one call; the errors are those of `Task.send`."""
        return self.send_many(task, [call])[0]

    async def send_async(self, task: AnyTask, call: Call) -> Handle:
        """Submit one call without blocking the event loop."""
        return (await self.send_many_async(task, [call]))[0]

    def send_many(self, task: AnyTask, calls: Sequence[Call]) -> list[Handle]:
        """Submit many; all arguments are checked before anything is sent.

        Raises:
            AlreadyRunningError, KeyConflictError: of the first such call; those before and after it were submitted.
        """
        steps = self._steps(self._submissions(task, calls))
        answers: list[Answer] | None = None
        while True:
            try:
                step = next(steps) if answers is None else steps.send(answers)
            except StopIteration as stop:
                return list(stop.value)
            try:
                answers = self._carry_out(step)
            except BaseException as exc:
                steps.throw(exc)
                raise

    async def send_many_async(self, task: AnyTask, calls: Sequence[Call]) -> list[Handle]:
        """As `send_many`, without blocking the event loop."""
        steps = self._steps(self._submissions(task, calls))
        answers: list[Answer] | None = None
        while True:
            try:
                step = next(steps) if answers is None else steps.send(answers)
            except StopIteration as stop:
                return list(stop.value)
            try:
                answers = await self._carry_out_async(step)
            except BaseException as exc:
                steps.throw(exc)
                raise

    def _carry_out(self, step: Ask | Publish) -> list[Answer]:
        if isinstance(step, Ask):
            if len(step.requests) == 1:
                return [self._store.apply(*step.requests[0])]
            return self._store.apply_many(step.requests)
        self._backend.publish_many(step.messages)
        return []

    async def _carry_out_async(self, step: Ask | Publish) -> list[Answer]:
        if isinstance(step, Ask):
            if len(step.requests) == 1:
                return [await self._async_store.apply(*step.requests[0])]
            return await self._async_store.apply_many(step.requests)
        await asyncio.to_thread(self._backend.publish_many, step.messages)
        return []

    def _steps(self, submissions: list[_Submission]) -> Steps:
        handles: list[Handle] = []
        told = 0
        try:
            for start in range(0, len(submissions), PIPELINE):
                batch = submissions[start : start + PIPELINE]
                answers = yield Ask([(s.message.digest, s.admit) for s in batch])
                admitted = [
                    s
                    for s, a in zip(batch, answers, strict=True)
                    if a.kind is Kind.ADMITTED and s.publication is None and not s.is_held
                ]
                helped = [(self._help(s, a), 0) for s, a in zip(batch, answers, strict=True) if a.kind is Kind.HELP]
                if admitted or helped:
                    yield Publish([*((s.message, s.delay_ms) for s in admitted), *helped])
                if admitted:
                    yield Ask([(s.message.digest, s.confirm) for s in admitted])
                told += len(batch)
                handles += self._handles(batch, answers)
        except BaseException as exc:
            for submission in submissions[told:]:
                self._observer.unsent(submission.message, exc)
            raise
        return handles

    def _handles(self, batch: list[_Submission], answers: list[Answer]) -> list[Handle]:
        """The handles of a batch; the first refusal is raised when the observer knows of all."""
        handles: list[Handle] = []
        refusals: list[QueueError] = []
        for submission, answer in zip(batch, answers, strict=True):
            if answer.kind is Kind.HELP:
                self._observer.recovered(submission.message, answer.state)
            try:
                handle = self._handle(submission, answer)
            except (AlreadyRunningError, KeyConflictError) as exc:
                self._observer.unsent(submission.message, exc)
                refusals.append(exc)
            else:
                self._observer.sent(submission.message, handle.decision, handle.id)
                handles.append(handle)
        if refusals:
            raise refusals[0]
        return handles

    def _help(self, submission: _Submission, answer: Answer) -> Message:
        message = Message.decoded(answer.message).owned_by(answer.owner)
        # What only another backend can publish is left to it; this message does the same work meanwhile.
        return message if self._backend.is_ours(message) else submission.message

    def _handle(self, submission: _Submission, answer: Answer) -> Handle:
        digest, policy = submission.message.digest, submission.task.policy
        match answer.kind:
            case Kind.ADMITTED:
                return Handle(self._access, submission.message.id, digest, Decision.EXECUTED)
            case Kind.CONFLICT:
                raise KeyConflictError(digest)
            case Kind.REPLAY | Kind.REPLAY_ERROR | Kind.DEAD:
                return Handle(self._access, answer.owner, digest, Decision.REPLAYED)
            case Kind.REPLACED:
                return Handle(self._access, answer.owner, digest, Decision.REPLACED)
            case Kind.FOLLOWS:
                return Handle(self._access, answer.owner, digest, Decision.FOLLOWS)
            case _ if policy.on_duplicate == "reject":
                raise AlreadyRunningError(digest, max(answer.wait_ms, policy.lease_ms))
            case _ if policy.on_duplicate == "skip":
                said = skipped(submission.task.name, answer.owner)
                return Handle(self._access, answer.owner, digest, Decision.SKIPPED, said)
            case _:
                return Handle(self._access, answer.owner, digest, Decision.JOINED)

    def _submissions(self, task: AnyTask, calls: Sequence[Call]) -> list[_Submission]:
        now_ms = self._clock.now_ms()
        # All are checked before any is told of.
        checked = [(message_for(task, call, now_ms), call.delay_ms(now_ms)) for call in calls]
        return [self._submission(task, message, delay_ms) for message, delay_ms in checked]

    def _submission(self, task: AnyTask, message: Message, delay_ms: int) -> _Submission:
        message = message.carrying(self._observer.carried(message))
        delay_ms = max(delay_ms, task.policy.quiet_ms)
        is_held = delay_ms > HOLD_AFTER_MS
        return _Submission(
            task, message, delay_ms, is_held, None if is_held else self._backend.publication(message, delay_ms)
        )


def message_for(task: AnyTask, call: Call, now_ms: int) -> Message:
    """The message that asks for a call.

    Raises:
        InvalidArgumentsError, UnencodableError: the arguments do not fit, or cannot be sent.
    """
    arguments = task.bind(call.args, call.kwargs)
    digest, fingerprint = named(task, call, arguments)
    return Message(
        id=keys.message_id(digest),
        task=task.name,
        queue=task.queue,
        digest=digest,
        args=call.args,
        kwargs=call.kwargs,
        fingerprint=fingerprint,
        priority=task.priority if call.priority is None else int(call.priority),
        created_ms=now_ms,
    )


def named(task: AnyTask, call: Call, arguments: dict[str, Any]) -> tuple[str, str]:
    """The digest of the work that a call asks for, and the fingerprint of its arguments."""
    policy = task.once
    if call.key is not None:
        version = policy.version if policy is not None else "1"
        return keys.explicit_digest(task.name, version, call.scope, call.key), keys.fingerprint(arguments)
    if policy is None:
        keys.canonical(arguments)  # refuses what could not be sent
        return keys.unique_digest(), ""
    if policy.key is None:
        return keys.argument_digest(task.name, policy.version, call.scope, arguments), ""
    chosen = policy.key(**arguments) if callable(policy.key) else {name: arguments[name] for name in policy.key}
    # The task says that the other arguments do not matter: they make no other fingerprint, unless the newest count.
    fingerprint = keys.fingerprint(arguments) if policy.on_duplicate in REPLACING else ""
    return keys.explicit_digest(task.name, policy.version, call.scope, chosen), fingerprint
