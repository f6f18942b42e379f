"""One dead letter, as it is shown, and as a message that can be run again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from queues.errors import Failure, InvalidMessageError, QueueError
from queues.idempotency import envelope
from queues.idempotency.letters import Letter
from queues.idempotency.state import State
from queues.message import MANUAL, UNGUARDED, Message

UNRUNNABLE = {
    MANUAL: "a program took this lock itself: there is no message to run",
    UNGUARDED: "its task has no guard: run it again with its task system's own tools",
}
UNREAD = Failure("unknown", "the error cannot be read")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What came to nothing, and why.

    Args:
        id: of the message; `unreadable-...` where the bytes told none.
        key: the digest that names the work.
        task, queue: None where the content does not tell.
        error: how it ended, with the traceback.
        is_dead: every worker that ran it died; else it failed, or was refused.
        attempts: 0 when it was refused and never begun.
        lost: workers that died of it in its last attempt.
        created_ms: when it was asked for; 0 when that is not known.
        failed_ms, expires_ms: when it was given up, and when the letter is forgotten, on the store's clock.
        content: the message as it is kept, or the bytes that are none.
        problem: why the content cannot be run by this version; empty when it can.
    """

    id: str
    key: str
    task: str | None
    queue: str | None
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    error: Failure
    is_dead: bool
    attempts: int
    lost: int
    created_ms: int
    failed_ms: int
    expires_ms: int
    content: bytes = field(repr=False)
    problem: str = ""


def read(letter: Letter) -> DeadLetter:
    """What a stored letter says; what cannot be read is told as a problem, never raised."""
    task = queue = None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}
    problem, error = "", UNREAD
    try:
        message = Message.decoded(letter.message)
        task, queue, args, kwargs = message.task, message.queue, message.args, message.kwargs
        problem = next((why for option, why in UNRUNNABLE.items() if option in message.options), "")
    except (QueueError, ValueError, RecursionError) as exc:
        problem = str(exc)
        task, queue = _told(letter.message)
    try:
        error = envelope.opened(letter.outcome)[1] or UNREAD
    except (QueueError, ValueError, RecursionError) as exc:
        problem = problem or str(exc)
    return DeadLetter(
        letter.id,
        letter.digest,
        task,
        queue,
        args,
        kwargs,
        error,
        letter.state is State.DEAD,
        letter.attempts,
        letter.lost,
        letter.created_ms,
        letter.failed_ms,
        letter.expires_ms,
        letter.message,
        problem,
    )


def fresh(letter: DeadLetter) -> Message:
    """The message of a letter, as if it had never been tried.

    Raises:
        InvalidMessageError: it cannot be run by this version.
    """
    if letter.problem:
        raise InvalidMessageError(letter.problem)
    return replace(Message.decoded(letter.content), id=letter.id, digest=letter.key, retries=0)


def _told(content: bytes) -> tuple[str | None, str | None]:
    try:
        known = json.loads(content)
        told = known.get("task"), known.get("queue")
    except (AttributeError, ValueError, RecursionError):
        return None, None
    task, queue = (value if isinstance(value, str) and value else None for value in told)
    return task, queue
