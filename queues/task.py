"""Tasks: named functions that can be queued, and what each promises."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from queues.backoff import Backoff
from queues.call import Call, as_calls
from queues.errors import InvalidOptionError, NotConnectedError, TaskNotFoundError
from queues.handle import Handle
from queues.idempotency import key as keys
from queues.limits.concurrency import Concurrency
from queues.limits.rate import Rate
from queues.limits.times import TimeLimits
from queues.once import Once
from queues.priority import Priority, checked_priority
from queues.schedules import Scheduling

P = ParamSpec("P")
R = TypeVar("R")


class Sender(Protocol):
    """What a task sends itself with; `producer.Producer` is the one."""

    def send(self, task: "AnyTask", call: Call) -> Handle:
        """Submit one call."""
        ...

    def send_many(self, task: "AnyTask", calls: Sequence[Call]) -> list[Handle]:
        """Submit many, pipelined."""
        ...

    async def send_async(self, task: "AnyTask", call: Call) -> Handle:
        """Submit one call without blocking the event loop."""
        ...

    async def send_many_async(self, task: "AnyTask", calls: Sequence[Call]) -> list[Handle]:
        """Submit many without blocking the event loop."""
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
        soft_time_limit: seconds after which SoftTimeLimitError is raised in an attempt; it may catch it to clean up.
        time_limit: seconds after which an attempt is over and the task has failed with TimeLimitError.
        rate_limit: how often it may begin, over all workers: `10/s`, `100/m` or `1000/h`, evenly spaced.
        concurrency: how many of its runs there may be at once, over all workers; a number, or by a key.
    """

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        tasks: "Tasks",
        name: str,
        queue: str = "default",
        once: Once | None = Once(),  # noqa: B008 - immutable
        max_retries: int | None = 3,
        backoff: Backoff = Backoff(),  # noqa: B008 - immutable
        retry_for: tuple[type[BaseException], ...] = (Exception,),
        give_up_on: tuple[type[BaseException], ...] = (),
        priority: int = Priority.NORMAL,
        soft_time_limit: float | None = None,
        time_limit: float | None = None,
        rate_limit: str | None = None,
        concurrency: Concurrency | int | None = None,
    ) -> None:
        if max_retries is not None and max_retries < 0:
            msg = f"max_retries={max_retries!r} of {name}: 0 or more"
            raise InvalidOptionError(msg)
        self.fn = fn
        self.name = name
        self.queue = queue
        self.once = once
        self.max_retries = max_retries
        self.backoff = backoff
        self.retry_for = retry_for
        self.give_up_on = give_up_on
        self.priority = checked_priority(priority)
        self.time_limits = TimeLimits(soft_time_limit, time_limit)
        self.rate = None if rate_limit is None else Rate.parsed(rate_limit)
        self.concurrency = Concurrency.declared(concurrency)
        self.is_gated = rate_limit is not None or concurrency is not None
        self.signature = inspect.signature(fn)
        self.bind = keys.Parameters(self.signature).bind
        self.is_async = inspect.iscoroutinefunction(fn)
        self._tasks = tasks
        if once is not None and once.key is not None and not callable(once.key):
            _check_names(name, once.key, self.signature)
        if self.concurrency is not None and self.concurrency.names:
            _check_names(name, self.concurrency.names, self.signature, option="per")
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
        return self.once or Once()

    def send(self, *args: P.args, **kwargs: P.kwargs) -> Handle:
        """Queue the task with these arguments; a duplicate gets a handle to the first.

        Raises:
            NotConnectedError: `connect` was not called with this task's `Tasks`.
            InvalidArgumentsError, UnencodableError, PayloadTooLargeError: the arguments cannot be sent.
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
    ) -> Handle:
        """As `send`, with the options of a `Call`.

        Raises:
            KeyConflictError: `key` was used before with other arguments.
            AlreadyRunningError: the work is in progress and the task says `on_duplicate="reject"`.
        """
        call = Call(tuple(args), kwargs or {}, delay, priority, key, scope, eta)
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
    ) -> Handle:
        """As `send_with_options`, without blocking the event loop."""
        call = Call(tuple(args), kwargs or {}, delay, priority, key, scope, eta)
        return await self._tasks.sender.send_async(self, call)

    def send_many(self, calls: Iterable[Call | tuple[Any, ...]]) -> list[Handle]:
        """Queue many calls in few round trips; a plain tuple is the arguments of one."""
        return self._tasks.sender.send_many(self, as_calls(calls))

    async def send_many_async(self, calls: Iterable[Call | tuple[Any, ...]]) -> list[Handle]:
        """As `send_many`, without blocking the event loop."""
        return await self._tasks.sender.send_many_async(self, as_calls(calls))


AnyTask = Task[Any, Any]


class Decorator(Protocol):
    """Makes a task of a function; an `async def` gives a task whose direct call is awaited."""

    def __call__(self, fn: Callable[P, R]) -> Task[P, R]:
        """The task."""
        ...


class Tasks(Scheduling):
    """The tasks of an application, by name.

    Args:
        namespace: stands before a function's name; None takes the function's module.
    """

    def __init__(self, namespace: str | None = None) -> None:
        self._namespace = namespace
        self._tasks: dict[str, AnyTask] = {}
        self._sender: Sender | None = None

    @overload
    def task(self, fn: Callable[P, R]) -> Task[P, R]: ...
    @overload
    def task(
        self,
        fn: None = None,
        *,
        name: str | None = None,
        queue: str = "default",
        once: Once | None = ...,
        max_retries: int = 3,
        backoff: Backoff = ...,
        retry_for: tuple[type[BaseException], ...] = ...,
        give_up_on: tuple[type[BaseException], ...] = (),
        priority: int = Priority.NORMAL,
        soft_time_limit: float | None = None,
        time_limit: float | None = None,
        rate_limit: str | None = None,
        concurrency: Concurrency | int | None = None,
    ) -> Decorator: ...
    def task(self, fn: Any = None, *, name: str | None = None, **options: Any) -> Any:
        """Declare a task; use it with or without options, which are those of `Task`.

        Raises:
            InvalidOptionError: the name is taken, or an option cannot be used.
        """

        def declare(function: Callable[P, R]) -> Task[P, R]:
            prefix = self._namespace if self._namespace is not None else function.__module__
            return self.add(Task(function, tasks=self, name=name or f"{prefix}.{function.__name__}", **options))

        return declare(fn) if fn is not None else declare

    def add(self, task: Task[P, R]) -> Task[P, R]:
        """The task, registered.

        Raises:
            InvalidOptionError: the name is taken.
        """
        if task.name in self._tasks:
            msg = f"two tasks are named {task.name}"
            raise InvalidOptionError(msg)
        self._tasks[task.name] = task
        return task

    def get(self, name: str) -> AnyTask:
        """The task of that name.

        Raises:
            TaskNotFoundError: none is registered.
        """
        try:
            return self._tasks[name]
        except KeyError:
            raise TaskNotFoundError(name, self.names) from None

    @property
    def names(self) -> tuple[str, ...]:
        """The names, sorted."""
        return tuple(sorted(self._tasks))

    def __iter__(self) -> Iterator[AnyTask]:
        return iter([*self._tasks.values()])

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    @property
    def sender(self) -> Sender:
        """What the tasks are sent with.

        Raises:
            NotConnectedError: `connect` was not called yet.
        """
        if self._sender is None:
            msg = "these tasks are not connected: call connect(tasks) before sending"
            raise NotConnectedError(msg)
        return self._sender

    def bind(self, sender: Sender) -> None:
        """Send through `sender` from now on; `connect` does this."""
        self._sender = sender
        self.schedules.close()


def _check_names(task: str, names: Sequence[str], signature: inspect.Signature, option: str = "key") -> None:
    unknown = [name for name in names if name not in signature.parameters]
    if unknown or isinstance(names, str) or not names:
        msg = f"{option}={names!r} of {task}: a sequence of its parameters' names, {', '.join(signature.parameters)}"
        raise InvalidOptionError(msg)
