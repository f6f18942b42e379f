"""A task: a named function that can be queued, and what it promises."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from queues.backoff import Backoff
from queues.call import Call, as_args, as_calls, checked_expires
from queues.errors import InvalidOptionError
from queues.handle import Handle
from queues.idempotency import key as keys
from queues.limits.concurrency import Concurrency
from queues.limits.rate import Rate
from queues.limits.times import TimeLimits
from queues.once import Once
from queues.priority import Priority, checked_priority

P = ParamSpec("P")
R = TypeVar("R")
PER_MESSAGE = Once()


class Sender(Protocol):
    """What a task sends itself with; `producer.Producer` is the one."""

    def send(self, task: "AnyTask", call: Call) -> Handle:
        """Submit one call."""
        ...

    def send_many(self, task: "AnyTask", calls: Iterable[Call]) -> list[Handle]:
        """Submit many, pipelined."""
        ...

    async def send_async(self, task: "AnyTask", call: Call) -> Handle:
        """Submit one call without blocking the event loop."""
        ...

    async def send_many_async(self, task: "AnyTask", calls: Iterable[Call]) -> list[Handle]:
        """Submit many without blocking the event loop."""
        ...


class Connected(Protocol):
    """What a task was declared with, which knows the sender; `tasks.Tasks` is the one."""

    @property
    def sender(self) -> Sender:
        """What the task sends itself with; NotConnectedError before `connect`."""
        ...


class Task(Generic[P, R]):
    """A function that can be queued; calling it is a plain call.

    Args:
        name: what messages call it by.
        once: None runs every message, each by itself.
        max_retries: attempts after the first; None leaves failures to the task system's own retries.
        retry_for: exceptions that are worth another attempt.
        give_up_on: exceptions that are not, although `retry_for` names their class.
        priority: 0 to 9, higher first, or a `Priority`.
        expires: seconds after it is due within which it must begin, where the submission names none; None for ever.
        soft_time_limit: seconds after which SoftTimeLimitError is raised in an attempt; it may catch it to clean up.
        time_limit: seconds after which an attempt is over and the task has failed with TimeLimitError.
        rate_limit: how often it may begin, over all workers: `10/s`, `100/m` or `1000/h`, evenly spaced.
        concurrency: how many of its runs there may be at once, over all workers; a number, or by a key.
    """

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        tasks: Connected,
        name: str,
        queue: str = "default",
        once: Once | None = Once(),  # noqa: B008 - immutable
        max_retries: int | None = 3,
        backoff: Backoff = Backoff(),  # noqa: B008 - immutable
        retry_for: tuple[type[BaseException], ...] = (Exception,),
        give_up_on: tuple[type[BaseException], ...] = (),
        priority: int = Priority.NORMAL,
        expires: float | None = None,
        soft_time_limit: float | None = None,
        time_limit: float | None = None,
        rate_limit: str | None = None,
        concurrency: Concurrency | int | None = None,
    ) -> None:
        _check_kinds(name, once, max_retries, backoff)
        if max_retries is not None:  # the queues of a task system's own application may have any name
            _check_queue(name, queue)
        self.fn = fn
        self.name = name
        self.queue = queue
        self.once = once
        self.max_retries = max_retries
        self.backoff = backoff
        self.retry_for = retry_for
        self.give_up_on = give_up_on
        self.priority = checked_priority(priority)
        self.expires = None if expires is None else checked_expires(expires)
        self.time_limits = TimeLimits(soft_time_limit, time_limit)
        self.rate = None if rate_limit is None else Rate.parsed(rate_limit)
        self.concurrency = Concurrency.declared(concurrency)
        self.is_gated = rate_limit is not None or concurrency is not None
        self.signature = inspect.signature(fn)
        self.bind = keys.Parameters(self.signature).bind
        self.is_async = inspect.iscoroutinefunction(fn)
        self._tasks = tasks
        if once is not None and once.key is not None and not callable(once.key):
            keys.check_names(name, once.key, self.signature)
        if self.concurrency is not None and self.concurrency.names:
            keys.check_names(name, self.concurrency.names, self.signature, option="per")
        update_wrapper(self, fn)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function here and now, without any queue."""
        return self.fn(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Task {self.name} on {self.queue}>"

    @property
    def is_foreign(self) -> bool:
        """Whether it belongs to a task system's own application, and only its runs are guarded here."""
        return self.max_retries is None

    @property
    def policy(self) -> Once:
        """`once`, or the defaults: a task that runs every message is guarded per message."""
        return self.once or PER_MESSAGE

    def send(self, *args: P.args, **kwargs: P.kwargs) -> Handle:
        """Queue the task with these arguments; a duplicate gets a handle to the first.

        Raises:
            NotConnectedError: `connect` was not called with this task's `Tasks`.
            InvalidArgumentsError, UnencodableError, PayloadTooLargeError: the arguments cannot be sent.
            AlreadyRunningError: the work is in progress and the task says `on_duplicate="reject"`.
            StoreUnavailableError, BrokerUnavailableError: nothing was accepted, or a repetition will tell.
        """
        return self._tasks.sender.send(self, Call(args, kwargs))

    async def send_async(self, *args: P.args, **kwargs: P.kwargs) -> Handle:
        """As `send`, without blocking the event loop."""
        return await self._tasks.sender.send_async(self, Call(args, kwargs))

    def send_with_options(
        self,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        delay: float = 0.0,
        priority: int | None = None,
        key: str | None = None,
        scope: str = "",
        eta: datetime | None = None,
        expires: float | datetime | None = None,
    ) -> Handle:
        """As `send`, with the options of a `Call`.

        Raises:
            InvalidArgumentsError: `args` are no collection, as a text.
            InvalidOptionError: an option has a value that cannot be used.
            KeyConflictError: `key` was used before with other arguments.
        """
        call = Call(as_args(args), kwargs or {}, delay, priority, key, scope, eta, expires)
        return self._tasks.sender.send(self, call)

    async def send_with_options_async(
        self,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        delay: float = 0.0,
        priority: int | None = None,
        key: str | None = None,
        scope: str = "",
        eta: datetime | None = None,
        expires: float | datetime | None = None,
    ) -> Handle:
        """As `send_with_options`, without blocking the event loop."""
        call = Call(as_args(args), kwargs or {}, delay, priority, key, scope, eta, expires)
        return await self._tasks.sender.send_async(self, call)

    def send_many(self, calls: Iterable[Call | tuple[Any, ...]]) -> list[Handle]:
        """Queue many calls in few round trips; a plain tuple is the arguments of one.

        Returns:
            A handle for each call, in their order.

        Raises:
            AlreadyRunningError, KeyConflictError: the first call that was refused; all others were submitted.
            QueueError: as `send`. Arguments that cannot be sent are found before anything is.
        """
        return self._tasks.sender.send_many(self, as_calls(calls))

    async def send_many_async(self, calls: Iterable[Call | tuple[Any, ...]]) -> list[Handle]:
        """As `send_many`, without blocking the event loop."""
        return await self._tasks.sender.send_many_async(self, as_calls(calls))


def _check_kinds(name: str, once: object, max_retries: object, backoff: object) -> None:
    # What a type checker tells, for those who have none: the errors would come with the first message, or none would.
    if once is not None and not isinstance(once, Once):
        msg = f"once={once!r} of {name}: Once(...), or None to run every message"
        raise InvalidOptionError(msg)
    if max_retries is not None and not (type(max_retries) is int and max_retries >= 0):
        msg = f"max_retries={max_retries!r} of {name}: a whole number, 0 or more"
        raise InvalidOptionError(msg)
    if not isinstance(backoff, Backoff):
        msg = f"backoff={backoff!r} of {name}: Backoff(...), as Backoff(60, factor=2)"
        raise InvalidOptionError(msg)


def _check_queue(name: str, queue: object) -> None:
    # Dramatiq's rule, for all: else a program could not move there.
    if not (isinstance(queue, str) and _QUEUE.fullmatch(queue)):
        msg = f"queue={queue!r} of {name}: a letter or an underscore, then letters, digits and any of . _ -"
        raise InvalidOptionError(msg)


_QUEUE = re.compile(r"[a-zA-Z_][a-zA-Z0-9._-]*")
AnyTask = Task[Any, Any]
