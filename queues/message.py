"""One request to run a task, as it travels."""

from collections.abc import Mapping
from dataclasses import field, replace
from json.encoder import encode_basestring as quoted
from typing import Any

from queues import codec
from queues.errors import InvalidMessageError, PayloadTooLargeError
from queues.lean import lean, nothing

Texts = tuple[str, str]
EncodedTexts = tuple[bytes, bytes]
VERSION = 1
MANUAL, UNGUARDED = "manual", "unguarded"
"""Options of no backend: a lock that a program took itself; a message of a task system's own task. Recovery publishes
neither."""
TRACE_HEADERS = ("traceparent", "tracestate")
MAX_TRACE_LENGTH = 512


@lean(frozen=True, slots=True)
class Message:
    """A request to run `task`; immutable.

    Args:
        id: `<digest>-<nonce>` when this library made it; a copy or a retry keeps it.
        digest: names the work; 40 hex digits.
        fingerprint: tells other arguments under the same key; empty when the arguments are the key.
        retries: retries so far.
        priority: 0 to 9; higher goes first.
        created_ms: on the producer's clock.
        options: what only one backend understands, as plain JSON, under that backend's name; such a message is
            published again by that backend only.
        begin_by_ms: when it expires unless it has begun, in ms since the Unix epoch; 0 for never.
        trace: the trace that it belongs to, as the headers of W3C Trace Context; nothing decides by it.
    """

    id: str
    task: str
    queue: str
    digest: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=nothing)
    fingerprint: str = ""
    retries: int = 0
    priority: int = 5
    created_ms: int = 0
    options: Mapping[str, Any] = field(default_factory=nothing)
    trace: Mapping[str, str] = field(default_factory=nothing)
    begin_by_ms: int = 0
    _texts: Texts | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def texts(self) -> Texts:
        """The arguments and the keyword arguments as `codec.text`; written once, for the record and for the queue.

        Raises:
            UnencodableError: an argument has no exact encoding.
        """
        texts = self._texts
        if texts is None:
            texts = texts_of(self.args, self.kwargs)
            object.__setattr__(self, "_texts", texts)
        return texts

    def with_texts(self, texts: Texts) -> "Message":
        """The same request, of whose arguments the texts are these."""
        message = replace(self)
        object.__setattr__(message, "_texts", texts)
        return message

    def retried(self, retries: int) -> "Message":
        """The message of a later attempt."""
        return replace(self, retries=retries)

    def owned_by(self, message_id: str) -> "Message":
        """The same request under the id that stands for the work, whose arguments it replaced."""
        return replace(self, id=message_id)

    def carrying(self, trace: Mapping[str, str]) -> "Message":
        """The same request as part of a trace; itself when there is none."""
        return replace(self, trace=trace) if trace else self

    def encoded(self, max_bytes: int = 0) -> bytes:
        """The message as JSON.

        Args:
            max_bytes: the longest allowed; 0 for any.

        Raises:
            UnencodableError: an argument has no exact encoding.
            PayloadTooLargeError: longer than `max_bytes`.
        """
        data = codec.encoded(self._text())
        if max_bytes and len(data) > max_bytes:
            raise PayloadTooLargeError(self.task, len(data), max_bytes)
        return data

    def _text(self) -> str:
        # What is empty is left out. A third of the time that an encoder takes, which is told everything anew.
        args, kwargs = self.texts
        text = (
            f'{{"v":{VERSION},"id":{quoted(self.id)},"task":{quoted(self.task)}'
            f',"queue":{quoted(self.queue)},"key":{quoted(self.digest)}'
        )
        if self.args:
            text += f',"args":{args}'
        if self.kwargs:
            text += f',"kwargs":{kwargs}'
        if self.fingerprint:
            text += f',"fingerprint":{quoted(self.fingerprint)}'
        if self.retries:
            text += f',"retries":{self.retries}'
        if self.priority:
            text += f',"priority":{self.priority}'
        if self.created_ms:
            text += f',"created":{self.created_ms}'
        if self.begin_by_ms:
            text += f',"begin_by":{self.begin_by_ms}'
        if self.options:
            text += f',"options":{codec.text(self.options)}'
        if self.trace:
            text += f',"trace":{codec.text(self.trace)}'
        return text + "}"

    @classmethod
    def decoded(cls, data: bytes) -> "Message":
        """The message that `encoded` wrote.

        Raises:
            InvalidMessageError: not such a message, or one of a newer version.
        """
        content = codec.loads(data)
        if not isinstance(content, dict):
            msg = f"not a message: {data[:80]!r}"
            raise InvalidMessageError(msg)
        if content.get("v") != VERSION:
            msg = f"a message of version {content.get('v')!r}; this library reads version {VERSION}"
            raise InvalidMessageError(msg)
        try:
            return cls(
                id=_text(content, "id"),
                task=_text(content, "task"),
                queue=_text(content, "queue"),
                digest=_text(content, "key"),
                args=tuple(content.get("args", ())),
                kwargs=dict(content.get("kwargs", {})),
                fingerprint=str(content.get("fingerprint", "")),
                retries=int(content.get("retries", 0)),
                priority=int(content.get("priority", 0)),
                created_ms=int(content.get("created", 0)),
                options=dict(content.get("options", {})),
                trace=trace_of(content.get("trace")),
                begin_by_ms=int(content.get("begin_by", 0)),
            )
        except (KeyError, TypeError, ValueError) as exc:
            msg = f"a message with a part missing or malformed: {exc!r}"
            raise InvalidMessageError(msg) from exc


def texts_of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Texts:
    """The arguments and the keyword arguments as `codec.text`.

    Raises:
        UnencodableError: an argument has no exact encoding.
    """
    return codec.text(args), codec.text(kwargs) if kwargs else "{}"


def trace_of(content: object) -> dict[str, str]:
    """The trace headers in what came with a message; none when it is anything else: work is not refused for it."""
    if not isinstance(content, Mapping):
        return {}
    found = {name: content.get(name) for name in TRACE_HEADERS}
    return {n: text for n, text in found.items() if isinstance(text, str) and 0 < len(text) <= MAX_TRACE_LENGTH}


def _text(content: dict[str, Any], name: str) -> str:
    value = content[name]
    if not isinstance(value, str) or not value:
        msg = f"{name} is {value!r}"
        raise InvalidMessageError(msg)
    return value
