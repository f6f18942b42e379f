"""Our messages as Celery's, and back."""

import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from celery.app.task import Context

from queues import codec
from queues.asking import named
from queues.call import Call
from queues.idempotency.key import ALGORITHM
from queues.idempotency.refusal import Delivered, check_head
from queues.message import Message, trace_of
from queues.priority import MAX_PRIORITY
from queues.task import AnyTask

HEADER = "onceq"
"""The header that carries the key; computed at the producer, trusted at the worker."""
PARTS = {"key": str, "fingerprint": str, "retries": int, "priority": int, "created": int}
CONTINUATION = ("link", "link_error", "chain", "chord", "group_id")
"""Options that make something wait for this very message: it is always published, and always answered."""
KEPT = (
    *CONTINUATION,
    "group_index",
    "root_id",
    "parent_id",
    "expires",
    "time_limit",
    "soft_time_limit",
    "shadow",
    "reply_to",
    "replaced_task_nesting",
    "ignore_result",
)


def header(message: Message) -> dict[str, Any]:
    """What travels beside the arguments."""
    return {
        "v": ALGORITHM,
        "key": message.digest,
        "fingerprint": message.fingerprint,
        "retries": message.retries,
        "priority": message.priority,
        "created": message.created_ms,
        **({"trace": dict(message.trace)} if message.trace else {}),
        **({"begin_by": message.begin_by_ms} if message.begin_by_ms else {}),
    }


def header_text(message: Message) -> str:
    """The header as JSON."""
    if message.trace or message.begin_by_ms:
        return json.dumps(header(message))
    return (
        f'{{"v":"{ALGORITHM}","key":{quoted(message.digest)},"fingerprint":{quoted(message.fingerprint)},'
        f'"retries":{message.retries},"priority":{message.priority},"created":{message.created_ms}}}'
    )


def native_arguments(message: Message, task: AnyTask) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments as Celery is to carry them; a foreign task's go through Celery's own serializer unchanged."""
    if task.is_foreign:
        return tuple(message.args), dict(message.kwargs)
    return plain_arguments(message.args, message.kwargs)


def plain_arguments(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a task of ours as Celery is to carry them."""
    return tuple(codec.plain(args)), codec.plain(dict(kwargs)) if kwargs else {}


def carries_continuation(options: Mapping[str, Any]) -> bool:
    """Whether a callback, chain, chord or group waits for this very message."""
    return any(options.get(name) for name in CONTINUATION)


def from_request(request: Context, task: AnyTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Message:
    """Our view of the message that a worker runs; its key is computed here when its producer did not.

    Raises:
        InvalidMessageError: the header that should carry the key does not.
        InvalidArgumentsError, UnencodableError: the arguments make no key.
    """
    if not task.is_foreign:
        args, kwargs = tuple(codec.restored([*args])), codec.restored(dict(kwargs))
    head = (request.headers or {}).get(HEADER)
    if head is None:
        digest, fingerprint = named(task, Call(args, kwargs), task.bind(args, kwargs))
        head = {"key": digest, "fingerprint": fingerprint, "retries": 0, "priority": task.priority, "created": 0}
    else:
        check_head(HEADER, head, PARTS)
    options = kept_options(request)
    return Message(
        id=str(request.id),
        task=task.name,
        queue=str((request.delivery_info or {}).get("routing_key") or task.queue),
        digest=head["key"],
        args=args,
        kwargs=kwargs,
        fingerprint=head["fingerprint"],
        retries=request.retries if task.is_foreign else head["retries"],
        priority=head["priority"],
        created_ms=head["created"],
        options={"celery": options} if options else {},
        trace=trace_of(head.get("trace")),
        begin_by_ms=head.get("begin_by", 0),
    )


def delivered(request: Context, task: str, args: Any, kwargs: Any) -> Delivered:
    """What a message that cannot be run says of itself."""
    options = kept_options(request)
    return Delivered(
        id=str(request.id),
        task=task,
        queue=str((request.delivery_info or {}).get("routing_key") or ""),
        args=args,
        kwargs=kwargs,
        head=(request.headers or {}).get(HEADER),
        options={"celery": options} if options else {},
    )


def kept_options(request: Context) -> dict[str, Any]:
    """The options that a copy of the message must have; none for a plain message, which any backend can carry."""
    options = request.as_execution_options()
    options["ignore_result"] = request.ignore_result
    has_own_wishes = carries_continuation(options) or any(
        options.get(name) for name in ("expires", "time_limit", "soft_time_limit", "shadow")
    )
    if not has_own_wishes:
        return {}
    return {name: options[name] for name in KEPT if options.get(name)}


def redis_priority(priority: int) -> int:
    """Celery's priority on Redis, where 0 goes first."""
    return MAX_PRIORITY - priority
