"""What a worker was given and must not run: as a message where it can be one, so that it can be replayed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from queues import codec
from queues.errors import InvalidMessageError, QueueError
from queues.idempotency import envelope
from queues.idempotency.burial import LETTER_TTL_MS, Bury
from queues.idempotency.key import ALGORITHM, DIGEST_HEX
from queues.message import VERSION, Message

READ = (ALGORITHM,)
"""Versions of the key's algorithm that this library reads: its own, and every older one."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Bytes that are no message; without an id, equal bytes are one letter."""

    content: bytes
    id: str = ""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A native message as far as it can be read.

    Args:
        head: what should carry the key; None when the message has none.
        options: of the task system, as in a `Message`.
    """

    id: str
    task: str
    queue: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    head: Any = None
    created_ms: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The key that it carries, or else one of its own, made from its id."""
        key = self.head.get("key") if isinstance(self.head, dict) else None
        is_key = isinstance(key, str) and len(key) == DIGEST_HEX and not set(key) - set("0123456789abcdef")
        return str(key) if is_key else digest_of_bytes(self.id.encode())

    def content(self) -> bytes:
        """The message, or what is known of one that this version does not read, as JSON."""
        version = self.head.get("v", ALGORITHM) if isinstance(self.head, dict) else ALGORITHM
        if version not in READ:
            return self._unread(version)
        try:
            args, kwargs = tuple(codec.restored([*self.args])), codec.restored(dict(self.kwargs))
            fingerprint = self.head.get("fingerprint") if isinstance(self.head, dict) else ""
            return Message(
                self.id,
                self.task,
                self.queue,
                self.digest,
                args,
                kwargs,
                fingerprint=fingerprint if isinstance(fingerprint, str) else "",
                created_ms=self.created_ms,
                options=self.options,
            ).encoded()
        except (QueueError, TypeError, ValueError):
            return self._unread(VERSION)

    def _unread(self, version: Any) -> bytes:
        known = {"v": version, "id": self.id, "task": self.task, "queue": self.queue, "head": self.head}
        more = {"args": self.args, "kwargs": self.kwargs, "options": self.options}
        return json.dumps({**known, **more}, default=repr).encode()


Refused = Message | Delivered | Unreadable


def refused(what: Refused, error: BaseException, letter_ms: int = LETTER_TTL_MS) -> tuple[str, Bury]:
    """The digest and the operation that keep a dead letter of what was refused."""
    outcome = envelope.of_failure(envelope.failure_of(error))
    if isinstance(what, Unreadable):
        digest = digest_of_bytes(what.content)
        return digest, Bury(what.id or f"unreadable-{digest}", what.content, outcome, 0, letter_ms)
    content = what.encoded() if isinstance(what, Message) else what.content()
    return what.digest, Bury(what.id, content, outcome, what.created_ms, letter_ms)


def check_head(name: str, head: Any, expected: Mapping[str, type]) -> None:
    """Return if this version reads what a native message carries beside its arguments.

    Args:
        name: of the header or option.

    Raises:
        InvalidMessageError: it does not: another version, or something else altogether.
    """
    is_whole = isinstance(head, dict) and all(isinstance(head.get(part), kind) for part, kind in expected.items())
    if not is_whole or not isinstance(head.get("begin_by", 0), int):
        msg = f"{name!r} is not what this library writes: {str(head)[:80]!r}"
        raise InvalidMessageError(msg)
    if head.get("v") not in READ:
        msg = f"a message of version {str(head.get('v'))[:20]!r}; this library reads version {ALGORITHM!r}"
        raise InvalidMessageError(msg)


def digest_of_bytes(data: bytes) -> str:
    """A digest for what carries none."""
    return hashlib.sha256(data).hexdigest()[:DIGEST_HEX]
