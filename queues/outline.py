"""How a backend publishes the messages of a task that differ in no more than ids, times and arguments.

It is asked once, for a message with marks where they differ.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from queues.idempotency.key import DIGEST_HEX, NONCE_HEX
from queues.idempotency.publication import Publication
from queues.message import EncodedTexts, Message
from queues.task import AnyTask

DIGEST = "<digest>".ljust(DIGEST_HEX, ".")
ID = "<id>".ljust(DIGEST_HEX + 1 + NONCE_HEX, ".")
CREATED_MS = 8_642_097_531_864_209
TEXTS = ("<args>......", "<kwargs>....")


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """How such messages are published.

    Args:
        publication: of a message of `marked`.
        marks: what stands in it for what is made of the arguments, beside their texts.
        parts: what is to stand there: of the arguments, the keyword arguments and the texts of both. Its errors are
            those of `publication`.
    """

    publication: Publication
    marks: tuple[str, ...]
    parts: Callable[[tuple[Any, ...], Mapping[str, Any], EncodedTexts], tuple[bytes, ...]]


@runtime_checkable
class HasOutlines(Protocol):
    """A backend that can tell how it will publish."""

    def outline(self, task: AnyTask) -> Outline | None:
        """How it publishes the messages of `send` now, the same object as long as that stays so.

        None where `publication` is to be asked for each message.
        """
        ...


def marked(task: AnyTask, *, has_args: bool = True, has_kwargs: bool = True) -> Message:
    """A message of the task with marks in it."""
    message = Message(
        id=ID,
        task=task.name,
        queue=task.queue,
        digest=DIGEST,
        args=TEXTS[:1] if has_args else (),
        kwargs={TEXTS[1]: ""} if has_kwargs else {},
        priority=task.priority,
        created_ms=CREATED_MS,
    )
    return message.with_texts(TEXTS)
