"""The tasks of an application: declared by a decorator, and found by name."""

from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from queues.backoff import Backoff
from queues.errors import InvalidOptionError, NotConnectedError, TaskNotFoundError
from queues.limits.concurrency import Concurrency
from queues.once import Once
from queues.priority import Priority
from queues.schedules import Scheduling
from queues.task import AnyTask, Sender, Task

P = ParamSpec("P")
R = TypeVar("R")


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
        expires: float | None = None,
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
