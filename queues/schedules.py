"""The schedules of an application, as they are declared beside its tasks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any, Protocol, TypeVar

from queues.errors import InvalidOptionError
from queues.once import REPLACING, Once
from queues.schedule import CatchUp, Schedule


class Scheduled(Protocol):
    """What a schedule needs to know of a task; `task.Task` is the one."""

    name: str

    @property
    def policy(self) -> Once:
        """How the task is kept to one effect."""
        ...

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name; InvalidArgumentsError when they do not fit."""
        ...


T = TypeVar("T", bound=Scheduled)


class Schedules:
    """The schedules by name, in the order in which they were declared."""

    def __init__(self) -> None:
        self._schedules: dict[str, Schedule] = {}
        self._is_closed = False

    def add(self, task: Scheduled, schedule: Schedule) -> None:
        """Take a schedule of a task.

        Raises:
            InvalidOptionError: its name is taken, the task cannot be scheduled, or `connect` was called before.
            InvalidArgumentsError: the task does not take its arguments.
        """
        if self._is_closed:
            msg = f"a schedule of {task.name} is declared after connect: no scheduler would know it"
            raise InvalidOptionError(msg)
        if task.policy.on_duplicate in REPLACING:
            msg = f"{task.name}: on_duplicate={task.policy.on_duplicate!r} makes one run of many; each moment is a run"
            raise InvalidOptionError(msg)
        task.bind((), schedule.arguments(0))
        if schedule.name in self._schedules:
            msg = f"two schedules are named {schedule.name}"
            raise InvalidOptionError(msg)
        self._schedules[schedule.name] = schedule

    def close(self) -> None:
        """Take no more."""
        self._is_closed = True

    def __iter__(self) -> Iterator[Schedule]:
        return iter([*self._schedules.values()])

    def __len__(self) -> int:
        return len(self._schedules)

    def next_name(self, task: str) -> str:
        """The task's name, with a number from its second schedule on."""
        count = sum(schedule.task == task for schedule in self)
        return f"{task}-{count + 1}" if count else task


class Scheduling:
    """What `Tasks` knows of schedules."""

    @cached_property
    def schedules(self) -> Schedules:
        """What was declared with `schedule`."""
        return Schedules()

    def schedule(
        self,
        when: str | timedelta,
        *,
        timezone: str = "UTC",
        catch_up: CatchUp = "last",
        kwargs: Mapping[str, Any] | None = None,
        moment: str | None = None,
        name: str | None = None,
    ) -> Callable[[T], T]:
        """Submit a task by the clock: `@tasks.schedule("0 3 * * *")` above `@tasks.task`, with options of `Schedule`.

        Raises:
            InvalidOptionError: an option that cannot be used, a name that is taken, or `connect` was called before.
            InvalidArgumentsError: the task does not take these arguments.
        """

        def declare(task: T) -> T:
            if not hasattr(task, "policy"):
                msg = f"{getattr(task, '__name__', task)} is no task: @tasks.schedule(...) stands above @tasks.task"
                raise InvalidOptionError(msg)
            named = name or self.schedules.next_name(task.name)
            self.schedules.add(task, Schedule(named, task.name, when, timezone, catch_up, kwargs or {}, moment))
            return task

        return declare
