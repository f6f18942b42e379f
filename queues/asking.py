"""What a call asks for: the key of its work, and its message."""

from typing import Any

from queues.call import Call
from queues.idempotency import key as keys
from queues.lean import NOTHING
from queues.message import Message
from queues.once import REPLACING
from queues.task import AnyTask

Key = tuple[str, str]
"""The digest of some work, and the fingerprint of its arguments."""


def message_for(task: AnyTask, call: Call, now_ms: int) -> Message:
    """The message that asks for a call.

    Raises:
        InvalidArgumentsError, UnencodableError: the arguments do not fit, or cannot be sent.
    """
    return message_of(task, call, key_of(task, call), now_ms)


def key_of(task: AnyTask, call: Call) -> Key:
    """The digest of the work that a call asks for, and the fingerprint of its arguments.

    Raises:
        InvalidArgumentsError, UnencodableError: the arguments do not fit, or cannot be sent.
    """
    return named(task, call, task.bind(call.args, call.kwargs))


def message_of(task: AnyTask, call: Call, key: Key, now_ms: int) -> Message:
    """The message that asks for a call whose key is known."""
    digest, fingerprint = key
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
        options=NOTHING,
        trace=NOTHING,
    )


def named(task: AnyTask, call: Call, arguments: dict[str, Any]) -> Key:
    """The key of a call whose arguments are bound."""
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
