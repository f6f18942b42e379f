"""What can go wrong, and what may be done about it.

QueueError
├─ BrokerUnavailableError, StoreUnavailableError   retry; the task does not run
│  ├─ StoreRefusedError                            as above, once a password or an ACL is mended
│  ├─ StoreFullError, StoreReadOnlyError           as above, once there is memory, or a master
│  └─ NotReplicatedError(replicas, wanted)         done, but not as safe as asked: repeat the same call
├─ AlreadyRunningError(key, retry_after_ms)        retry after the lease
├─ KeyConflictError(key)                           never retry: the key names other work
├─ TaskNotFoundError(name), InvalidMessageError    never retry; dead-letter
├─ InvalidArgumentsError, UnencodableError         never retry: the caller's call is wrong
├─ PayloadTooLargeError(task, size_bytes, max_bytes)   never retry: keep the data elsewhere, send its id
├─ InvalidIdError(text), InvalidOptionError        never retry: the caller's call is wrong
├─ DeadLetterNotFoundError(id)                     never retry: it was replayed, dropped or forgotten
├─ NotConnectedError                               call `connect(tasks)` first
├─ LeaseLostError(key, token)                      stop; this run's result is dropped
├─ TaskCancelledError(key)                         stop; the cancellation is stored
├─ TaskExpiredError(key)                           stored for what had not begun in time; send it anew
├─ SoftTimeLimitError                              clean up and end; uncaught, it is retried as any failure
├─ TimeLimitError(key, limit_s)                    never retried: the run is over
├─ TaskFailedError(failure)                        what `Handle.result` raises for a stored failure
└─ ResultTimeoutError(id)                          no outcome yet; the task goes on
"""

from dataclasses import dataclass
from typing import Any


class QueueError(Exception):
    """Any error of this library; it can be pickled, so that it crosses from a worker's child process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[QueueError], args: tuple[Any, ...], data: dict[str, Any]) -> QueueError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(data)
    return error


class BrokerUnavailableError(QueueError):
    """The broker did not take the message."""


class StoreUnavailableError(QueueError):
    """The store of records did not answer; nothing was run."""


class StoreRefusedError(StoreUnavailableError):
    """The store refuses the password, the user, or what this user asks for; somebody must mend that."""


class StoreFullError(StoreUnavailableError):
    """The store has no memory left for new work; nothing of it was written."""


class StoreReadOnlyError(StoreUnavailableError):
    """The store is a read-only replica; nothing was written."""


class NotReplicatedError(StoreUnavailableError):
    """It is written, but too few replicas said in time that they have it, too.

    A submission may be repeated: it joins the work that it finds, and waits for the replicas again.
    """

    def __init__(self, replicas: int, wanted: int) -> None:
        super().__init__(f"written, but {replicas} of {wanted} replicas have it so far")
        self.replicas = replicas
        self.wanted = wanted


class AlreadyRunningError(QueueError):
    """The same work is queued or running, and the task says to refuse a duplicate."""

    def __init__(self, key: str, retry_after_ms: int) -> None:
        super().__init__(f"the work of key {key} is in progress; ask again in {retry_after_ms} ms")
        self.key = key
        self.retry_after_ms = retry_after_ms


class KeyConflictError(QueueError):
    """The idempotency key was used before with other arguments."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the idempotency key {key} was used before with other arguments")
        self.key = key


class TaskNotFoundError(QueueError, LookupError):
    """No task of that name is registered."""

    def __init__(self, name: str, known: tuple[str, ...] = ()) -> None:
        listed = ", ".join(known) if known else "none"
        super().__init__(f"no task is named {name!r}; registered: {listed}")
        self.name = name


class DeadLetterNotFoundError(QueueError, LookupError):
    """There is no dead letter of that message: it was replayed, dropped, or its time is over."""

    def __init__(self, message_id: str) -> None:
        super().__init__(f"there is no dead letter of {message_id[:100]!r}; it may have been replayed meanwhile")
        self.message_id = message_id


class InvalidMessageError(QueueError, ValueError):
    """The bytes are not a message that this version reads."""


class InvalidArgumentsError(QueueError, TypeError):
    """The arguments do not fit the task's signature."""


class UnencodableError(QueueError, TypeError):
    """A value has no exact encoding, so it cannot be sent, stored, or made part of a key."""


class PayloadTooLargeError(QueueError, ValueError):
    """The arguments are longer than a message may be."""

    def __init__(self, task: str, size_bytes: int, max_bytes: int) -> None:
        super().__init__(
            f"a message of {size_bytes} bytes for {task}; at most {max_bytes} are sent: keep the data elsewhere "
            "and send its id"
        )
        self.task = task
        self.size_bytes = size_bytes
        self.max_bytes = max_bytes


class InvalidIdError(QueueError, ValueError):
    """The text is not the id of a task of this library."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text[:80]!r} is not a task id: 40 hexadecimal digits, a dash, 12 more are expected")
        self.text = text


class InvalidOptionError(QueueError, ValueError):
    """A setting or an option has a value that cannot be used."""


class NotConnectedError(QueueError):
    """The task belongs to no queue yet: call `connect(tasks)` first."""


class LeaseLostError(QueueError):
    """The right to run ended before the task did; another worker may hold it now."""

    def __init__(self, key: str, token: int) -> None:
        super().__init__(f"the lease of key {key} with token {token} is lost; this run's result is dropped")
        self.key = key
        self.token = token


class TaskCancelledError(QueueError):
    """Somebody cancelled the task."""

    code = "cancelled"
    """As in the failure that a store writes for work that had not begun."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the task of key {key} was cancelled")
        self.key = key


class TaskExpiredError(QueueError):
    """The work had not begun by the time that its `expires` names; it never runs."""

    code = "expired"

    def __init__(self, key: str) -> None:
        super().__init__(f"the task of key {key} had not begun in time, and will not run")
        self.key = key


class SoftTimeLimitError(QueueError):
    """The attempt has run for its `soft_time_limit`; raised inside the task, which may catch it and end in time."""

    code = "soft_time_limit"

    def __init__(self, message: str = "the attempt has run for its soft time limit") -> None:
        # Without arguments: Python itself makes the one that it raises in a running thread.
        super().__init__(message)


class TimeLimitError(QueueError):
    """The attempt has run for its `time_limit`; whatever it still does is not stored."""

    code = "time_limit"

    def __init__(self, key: str, limit_s: float) -> None:
        super().__init__(f"the task of key {key} was ended: it had run for its time limit of {limit_s:g} s")
        self.key = key
        self.limit_s = limit_s


@dataclass(frozen=True, slots=True)
class Failure:
    """How a task failed, as it is stored.

    Args:
        type: the exception's qualified name.
        message: its text, at most 2,000 characters.
        code: its attribute `code` where that is a string; for programs.
        traceback: its last frames, at most 8,000 characters.
    """

    type: str
    message: str
    code: str | None = None
    traceback: str = ""


class TaskFailedError(QueueError):
    """The task's stored outcome is a failure.

    Args:
        failure: the failure; or this error's text, of which a result backend makes the error again.
    """

    def __init__(self, failure: Failure | str) -> None:
        if isinstance(failure, str):
            kind, _, message = failure.partition(": ")
            failure = Failure(kind, message)
        super().__init__(f"{failure.type}: {failure.message}")
        self.failure = failure


class ResultTimeoutError(QueueError, TimeoutError):
    """The task has no outcome yet; it goes on."""

    def __init__(self, message_id: str, state: str) -> None:
        super().__init__(f"no outcome of {message_id} yet; it is {state}")
        self.message_id = message_id
        self.state = state
