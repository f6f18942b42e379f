"""The way of a submission: key, admit, publish, handle. One round trip where the broker is the store's Redis."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Generator, Iterable, Iterator
from dataclasses import replace

from queues.answers import Answers
from queues.asking import Key, key_of, message_of
from queues.backend import Backend
from queues.call import Call
from queues.clock import Clock
from queues.errors import AlreadyRunningError, KeyConflictError, QueueError
from queues.handle import Access, Handle
from queues.idempotency.in_turn import AsyncInTurn, InTurn
from queues.idempotency.machine import HOLD_AFTER_MS
from queues.idempotency.state import Answer, Kind
from queues.idempotency.store import AsyncStore, Store
from queues.message import Message
from queues.observer import Observer
from queues.prepared import Prepared
from queues.sending import Publish, Receive, Send, Step, Steps, carried_out, carried_out_async
from queues.submission import MAX_MESSAGE_BYTES, Submission
from queues.task import AnyTask

BATCH = 200
"""Submissions that are sent together."""
BATCH_BYTES = 1024 * 1024
"""Nor does a batch go on when its messages are so long."""
UNDER_WAY = 2
"""Batches whose answers have not come while another is made."""


Batches = Iterator[list[Submission]]
Outcome = Handle | QueueError


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
        self._observer = observer or Observer()
        self._answers = Answers(access, clock, self._observer)
        self._prepared = Prepared[Answer | None](store, backend, clock)
        self._async_prepared = Prepared[Awaitable[Answer | None]](async_store, backend, clock)

    def send(self, task: AnyTask, call: Call) -> Handle:
        """Submit one call; the errors are those of `Task.send`.

        A repetition that a look answers sends no arguments: those that are no part of its key may be any.
        """
        key = key_of(task, call)
        near = self._near(task, call, key)
        if near is not None:
            return near
        look = self._answers.look(task, call, key)
        begun = self._begun(task, call, key) if self._answers.is_watched else None
        message = begun[0] if begun else None
        sent_id = ""
        try:
            answer = None if look is None else self._store.apply(key[0], look)
            if answer is None or answer.kind is Kind.MISS:
                answer, sent_id = self._prepared.answer(task, call, key, message)
            if answer is not None and answer.kind is Kind.HELP:
                self._backend.publish(self._help(message or self._begun(task, call, key)[0], answer))
        except BaseException as exc:
            self._answers.unsent(message, exc)
            raise
        if answer is not None:
            return self._told(task, key, message, answer, sent_id)
        return self._submitted(self._submission(task, *(begun or self._begun(task, call, key))))

    def _submitted(self, submission: Submission) -> Handle:
        if submission.publication is None:
            return self._sent([submission.message], iter([[submission]]))[0]
        # Most submissions are one operation: `_steps`, which say what becomes of many, take 10 us for it.
        message = submission.message
        try:
            answer = self._store.apply(message.digest, submission.admit)
            if answer.kind is Kind.HELP:
                self._backend.publish(self._help(message, answer))
        except BaseException as exc:
            self._observer.unsent(message, exc)
            raise
        return self._told(submission.task, _key(message), message, answer)

    async def send_async(self, task: AnyTask, call: Call) -> Handle:
        """Submit one call without blocking the event loop."""
        key = key_of(task, call)
        near = self._near(task, call, key)
        if near is not None:
            return near
        look = self._answers.look(task, call, key)
        begun = self._begun(task, call, key) if self._answers.is_watched else None
        message = begun[0] if begun else None
        sent_id = ""
        try:
            answer = None if look is None else await self._async_store.apply(key[0], look)
            if answer is None or answer.kind is Kind.MISS:
                asked, sent_id = self._async_prepared.answer(task, call, key, message)
                answer = None if asked is None else await asked
            if answer is not None and answer.kind is Kind.HELP:
                help_with = self._help(message or self._begun(task, call, key)[0], answer)
                await asyncio.to_thread(self._backend.publish, help_with)
        except BaseException as exc:
            self._answers.unsent(message, exc)
            raise
        if answer is not None:
            return self._told(task, key, message, answer, sent_id)
        return await self._submitted_async(self._submission(task, *(begun or self._begun(task, call, key))))

    async def _submitted_async(self, submission: Submission) -> Handle:
        message = submission.message
        if submission.publication is None:
            return (await self._sent_async([message], iter([[submission]])))[0]
        try:
            answer = await self._async_store.apply(message.digest, submission.admit)
            if answer.kind is Kind.HELP:
                await asyncio.to_thread(self._backend.publish, self._help(message, answer))
        except BaseException as exc:
            self._observer.unsent(message, exc)
            raise
        return self._told(submission.task, _key(message), message, answer)

    def send_many(self, task: AnyTask, calls: Iterable[Call]) -> list[Handle]:
        """Submit many; all arguments are checked before anything is sent.

        Raises:
            AlreadyRunningError, KeyConflictError: of the first such call; those before and after it were submitted.
        """
        messages, delays_ms = self._checked(task, calls)
        return self._sent(messages, self._batches(task, messages, delays_ms))

    async def send_many_async(self, task: AnyTask, calls: Iterable[Call]) -> list[Handle]:
        """As `send_many`, without blocking the event loop."""
        messages, delays_ms = self._checked(task, calls)
        return await self._sent_async(messages, self._batches(task, messages, delays_ms))

    def _sent(self, messages: list[Message], batches: Batches) -> list[Handle]:
        store = self._store
        pipeline = store.pipeline() if len(messages) > BATCH else InTurn(store)
        return carried_out(self._steps(messages, batches), pipeline, self._backend)

    async def _sent_async(self, messages: list[Message], batches: Batches) -> list[Handle]:
        store = self._async_store
        pipeline = store.pipeline() if len(messages) > BATCH else AsyncInTurn(store)
        return await carried_out_async(self._steps(messages, batches), pipeline, self._backend)

    def _steps(self, messages: list[Message], batches: Batches) -> Steps:
        outcomes: list[Outcome] = []
        under_way: deque[list[Submission]] = deque()
        try:
            for batch in batches:
                yield Send([(s.message.digest, s.admit) for s in batch])
                under_way.append(batch)
                unanswered = UNDER_WAY - 1 if all(s.can_overlap for s in batch) else 0
                while len(under_way) > unanswered:
                    yield from self._settled(under_way.popleft(), outcomes)
            while under_way:
                yield from self._settled(under_way.popleft(), outcomes)
        except BaseException as exc:
            for message in messages[len(outcomes) :]:
                self._observer.unsent(message, exc)
            raise
        for outcome in outcomes:
            if isinstance(outcome, QueueError):
                raise outcome
        return [outcome for outcome in outcomes if isinstance(outcome, Handle)]

    def _settled(self, batch: list[Submission], outcomes: list[Outcome]) -> Generator[Step, list[Answer], None]:
        """Take the answers to a batch, do what they ask for, and add what came of each to `outcomes`."""
        answers = yield Receive()
        admitted = [
            s
            for s, a in zip(batch, answers, strict=True)
            if a.kind is Kind.ADMITTED and s.publication is None and not s.is_held
        ]
        helped = [(self._help(s.message, a), 0) for s, a in zip(batch, answers, strict=True) if a.kind is Kind.HELP]
        if admitted or helped:
            yield Publish([*((s.message, s.delay_ms) for s in admitted), *helped])
        if admitted:
            yield Send([(s.message.digest, s.confirm) for s in admitted])
            yield Receive()
        for submission, answer in zip(batch, answers, strict=True):
            try:
                message = submission.message
                outcomes.append(self._told(submission.task, _key(message), message, answer))
            except (AlreadyRunningError, KeyConflictError) as exc:
                outcomes.append(exc)

    def _told(self, task: AnyTask, key: Key, message: Message | None, answer: Answer, sent_id: str = "") -> Handle:
        """The handle, or the refusal raised, when the observer knows of it."""
        if message is not None and answer.kind is Kind.HELP:
            self._observer.recovered(message, answer.state)
        return self._answers.told(task, key, message, answer, sent_id)

    def _near(self, task: AnyTask, call: Call, key: Key) -> Handle | None:
        """The handle of work whose outcome this process was told a moment ago; None when the store is to be asked."""
        answer = self._answers.near(task, key)
        if answer is None:
            return None
        message = self._begun(task, call, key)[0] if self._answers.is_watched else None
        return self._answers.told_again(task, key, message, answer)

    def _help(self, own: Message, answer: Answer) -> Message:
        message = Message.decoded(answer.message).owned_by(answer.owner)
        # What only another backend can publish is left to it; our own does the same work meanwhile.
        return message if self._backend.is_ours(message) else own

    def _checked(self, task: AnyTask, calls: Iterable[Call]) -> tuple[list[Message], list[int]]:
        # Not a pair for each, nor the calls: what lives as long as the handles has the collector look at all there is.
        messages, delays_ms = list[Message](), list[int]()
        for call in calls:
            message, delay_ms = self._timed(task, call, key_of(task, call))
            messages.append(message)
            delays_ms.append(delay_ms)
        # All are checked before any is told of.
        return [self._carrying(message) for message in messages], delays_ms

    def _batches(self, task: AnyTask, messages: list[Message], delays_ms: list[int]) -> Batches:
        # All are written before any is sent: one may be too long. How they are published is written while others go.
        encoded = [message.encoded(MAX_MESSAGE_BYTES) for message in messages]
        batch: list[Submission] = []
        size = 0
        for message, delay_ms, data in zip(messages, delays_ms, encoded, strict=True):
            batch.append(self._submission(task, message, delay_ms, data))
            size += len(data)
            if len(batch) == BATCH or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _submission(self, task: AnyTask, message: Message, delay_ms: int, encoded: bytes = b"") -> Submission:
        is_held = delay_ms > HOLD_AFTER_MS
        publication = None if is_held else self._backend.publication(message, delay_ms)
        return Submission(task, message, delay_ms, is_held, publication, encoded)

    def _begun(self, task: AnyTask, call: Call, key: Key) -> tuple[Message, int]:
        """As `_timed`, when the observer knows that it will be submitted."""
        message, delay_ms = self._timed(task, call, key)
        return self._carrying(message), delay_ms

    def _carrying(self, message: Message) -> Message:
        return message.carrying(self._observer.carried(message))

    def _timed(self, task: AnyTask, call: Call, key: Key) -> tuple[Message, int]:
        """The message of a call, which knows when it expires, and the ms before which it must not start."""
        now_ms = self._clock.now_ms()
        delay_ms = max(call.delay_ms(now_ms), task.policy.quiet_ms)
        message = message_of(task, call, key, now_ms)
        begin_by_ms = call.begin_by_ms(now_ms + delay_ms, task.expires)
        return (replace(message, begin_by_ms=begin_by_ms) if begin_by_ms else message), delay_ms


def _key(message: Message) -> Key:
    return message.digest, message.fingerprint
