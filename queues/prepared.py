"""Submissions whose command is written before they come, but for their ids, their times and their arguments.

So are those of `send` with no wish of their own, where one server keeps the records and the queue. To make what a
submission is made of, and then the command of that, took two thirds of what a process computes for it.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from queues.asking import Key
from queues.backend import Backend
from queues.call import Call
from queues.clock import Clock
from queues.idempotency import key as keys
from queues.idempotency.store import AsyncStore, Filled, HasStencils, Store
from queues.message import Message, texts_of
from queues.once import Once
from queues.outline import CREATED_MS, DIGEST, ID, TEXTS, HasOutlines, Outline, marked
from queues.submission import MAX_MESSAGE_BYTES, Submission
from queues.task import AnyTask

MARKS = (DIGEST, f"{{{DIGEST[:2]}}}", ID, str(CREATED_MS), *TEXTS)
"""The second is what the names of keys have of the digest, in braces."""
SIZED = 3
"""The first so many are as long as what stands in their places."""
NO_ANSWER: tuple[None, str] = None, ""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ready(Generic[T]):
    """A command that waits for its values.

    Args:
        once: of the task when it was written.
        most_bytes: of both texts; longer arguments may make too long a message.
        filled: None where nothing can be written before the call comes.
    """

    once: Once | None
    most_bytes: int
    filled: Filled[T] | None


class Prepared(Generic[T]):
    """Admits and publishes such submissions.

    Args of the constructor: the store, whose answers are to be awaited where it is an async one.
    """

    def __init__(self, store: HasStencils[T] | Store | AsyncStore, backend: Backend, clock: Clock) -> None:
        self._store: HasStencils[T] | None = store if isinstance(store, HasStencils) else None
        self._backend = backend if isinstance(backend, HasOutlines) else None
        self._clock = clock
        self._ready: dict[tuple[Outline, bool, bool], Ready[T]] = {}

    def answer(self, task: AnyTask, call: Call, key: Key, message: Message | None) -> tuple[T | None, str]:
        """What the store answers, and the id that it was sent.

        No answer where the submission goes the way of all, which tells what is wrong with it too.

        Args:
            message: of the call, where it is made already.
        """
        digest, fingerprint = key
        if self._backend is None or fingerprint or not _is_plain(call) or (message is not None and message.trace):
            return NO_ANSWER
        outline = self._backend.outline(task)
        if outline is None:
            return NO_ANSWER
        ready = self._ready_for(outline, task, call)
        if ready.filled is None:
            return NO_ANSWER
        if message is None:
            texts, created_ms = texts_of(call.args, call.kwargs), self._clock.now_ms()
            message_id = keys.message_id(digest)
        else:
            texts, created_ms, message_id = message.texts, message.created_ms, message.id
        try:
            args, kwargs = texts[0].encode(), texts[1].encode()
        except UnicodeEncodeError:
            return NO_ANSWER
        if len(args) + len(kwargs) > ready.most_bytes or not created_ms:
            return NO_ANSWER
        parts = outline.parts(call.args, call.kwargs, (args, kwargs))
        work = digest.encode()
        values = (work, b"{%b}" % work[:2], message_id.encode(), b"%d" % created_ms, args, kwargs, *parts)
        return ready.filled(values), message_id

    def _ready_for(self, outline: Outline, task: AnyTask, call: Call) -> Ready[T]:
        shape = outline, bool(call.args), bool(call.kwargs)
        ready = self._ready.get(shape)
        if ready is None or ready.once is not task.once:  # a program may give its task another policy
            ready = self._ready[shape] = self._made(task, *shape)
        return ready

    def _made(self, task: AnyTask, outline: Outline, has_args: bool, has_kwargs: bool) -> Ready[T]:
        if self._store is None or task.expires is not None:
            return Ready(task.once, 0, None)
        message = marked(task, has_args=has_args, has_kwargs=has_kwargs)
        admit = Submission(task, message, 0, is_held=False, publication=outline.publication).admit
        filled = self._store.stencil(DIGEST, admit, (*MARKS, *outline.marks), SIZED)
        return Ready(task.once, MAX_MESSAGE_BYTES - len(message.encoded()), filled)


def _is_plain(call: Call) -> bool:
    return not call.delay and call.priority is None and call.eta is None and call.expires is None
