"""Our messages as Dramatiq's, and back."""

import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

import dramatiq
import dramatiq.common
from dramatiq.broker import MessageProxy
from dramatiq.common import q_name

from queues import codec
from queues.asking import named
from queues.call import Call
from queues.idempotency.key import ALGORITHM
from queues.idempotency.refusal import Delivered, check_head
from queues.message import UNGUARDED, Message, trace_of
from queues.task import AnyTask

HEADER = "onceq"
"""The option that carries the key; computed at the producer, trusted at the worker."""
PRIORITY = "broker_priority"
"""Dramatiq's own option, which RabbitMQ reads, and our broker on Redis."""
PARTS = {"key": str, "fingerprint": str, "retries": int, "priority": int}
TRANSIENT = frozenset({HEADER, "redis_message_id", "eta"})
OWN_OPTIONS = TRANSIENT | {PRIORITY}
"""All that a plain message of ours has."""
Native = dramatiq.Message[Any] | MessageProxy
_compact = json.JSONEncoder(separators=(",", ":")).encode


def header(
    digest: str,
    fingerprint: str,
    retries: int = 0,
    priority: int = 5,
    trace: Mapping[str, str] | None = None,
    begin_by_ms: int = 0,
) -> dict[str, Any]:
    """What travels beside the arguments."""
    head = {"v": ALGORITHM, "key": digest, "fingerprint": fingerprint, "retries": retries, "priority": priority}
    others = {"trace": dict(trace or {}), "begin_by": begin_by_ms}
    return {**head, **{name: value for name, value in others.items() if value}}


def to_native(message: Message, task: AnyTask) -> dramatiq.Message[Any]:
    """The Dramatiq message that asks for the same run."""
    options: dict[str, Any] = dict(message.options.get("dramatiq", {}))
    options[HEADER] = header(*_head(message))
    if task.is_foreign:
        args, kwargs = message.args, dict(message.kwargs)
        options |= {"retries": message.retries} if "retries" in options else {}  # a replayed one begins anew
    else:
        args, kwargs = tuple(codec.plain(message.args)), codec.plain(dict(message.kwargs))
        options[PRIORITY] = message.priority
    return dramatiq.Message(
        queue_name=message.queue,
        actor_name=message.task,
        args=args,
        kwargs=kwargs,
        options=options,
        message_id=message.id,
        **({"message_timestamp": message.created_ms} if message.created_ms else {}),
    )


def payload(message: Message, task: AnyTask, queue: str, own: Mapping[str, Any]) -> bytes:
    """The message on that queue, with `own` options beside its others, as Dramatiq's encoder writes it.

    Dramatiq copies a message for each option that is added, and its encoder is told everything anew: the text of the
    arguments, which the record has too, is used again.
    """
    if type(dramatiq.get_encoder()) is not dramatiq.JSONEncoder or message.options:
        return to_native(message, task).copy(queue_name=queue, options=dict(own)).encode()
    options = f'"{HEADER}":{_header_text(message)},"{PRIORITY}":{message.priority}'
    for name, value in own.items():
        options += f',"{name}":{quoted(value) if isinstance(value, str) else _compact(value)}'
    args, kwargs = message.texts
    moment = f',"message_timestamp":{message.created_ms or dramatiq.common.current_millis()}'
    return codec.encoded(
        f'{{"queue_name":{quoted(queue)},"actor_name":{quoted(message.task)},"args":{args},"kwargs":{kwargs},'
        f'"options":{{{options}}},"message_id":{quoted(message.id)}{moment}}}'
    )


def _head(message: Message) -> tuple[Any, ...]:
    return message.digest, message.fingerprint, message.retries, message.priority, message.trace, message.begin_by_ms


def _header_text(message: Message) -> str:
    if message.trace or message.begin_by_ms:
        return _compact(header(*_head(message)))
    return (
        f'{{"v":"{ALGORITHM}","key":{quoted(message.digest)},"fingerprint":{quoted(message.fingerprint)},'
        f'"retries":{message.retries},"priority":{message.priority}}}'
    )


def from_native(native: Native, task: AnyTask) -> Message:
    """Our view of a Dramatiq message; its key is computed here when its producer did not.

    Raises:
        InvalidMessageError: the option that should carry the key does not.
        InvalidArgumentsError, UnencodableError: the arguments make no key.
    """
    if isinstance(native, MessageProxy):
        native = native._message  # the proxy takes four times as long for each of its parts
    args, kwargs = tuple(native.args), dict(native.kwargs)
    if not task.is_foreign:
        args, kwargs = tuple(codec.restored([*args])), codec.restored(kwargs)
    head = native.options.get(HEADER)
    if head is None:
        digest, fingerprint = named(task, Call(args, kwargs), task.bind(args, kwargs))
        head = header(digest, fingerprint)
    check_head(HEADER, head, PARTS)
    ours = TRANSIENT if task.is_foreign else OWN_OPTIONS
    others = {name: value for name, value in native.options.items() if name not in ours}
    return Message(
        id=native.message_id,
        task=native.actor_name,
        queue=native.queue_name,
        digest=head["key"],
        args=args,
        kwargs=kwargs,
        fingerprint=head["fingerprint"],
        retries=int(native.options.get("retries", 0)) if task.is_foreign else head["retries"],
        priority=head["priority"],
        created_ms=native.message_timestamp,
        options={"dramatiq": others} if others else {},
        trace=trace_of(head.get("trace")),
        begin_by_ms=head.get("begin_by", 0),
    )


def delivered(native: Native, *, is_unguarded: bool = False) -> Delivered:
    """What a message that cannot be run, or was run without the guard, says of itself."""
    others = {name: value for name, value in native.options.items() if name not in OWN_OPTIONS}
    return Delivered(
        id=str(native.message_id),
        task=str(native.actor_name),
        queue=q_name(str(native.queue_name)),
        args=native.args,
        kwargs=native.kwargs,
        head=native.options.get(HEADER),
        created_ms=native.message_timestamp,
        options=({"dramatiq": others} if others else {}) | ({UNGUARDED: {}} if is_unguarded else {}),
    )
