"""What runs by the clock: one declaration, which Celery beat and periodiq are each given in their own form.

A schedule submits its task as anyone does. So when the schedulers of both backends run, or one runs twice,
the task still takes effect once a day: the second submission meets the first one's record.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Schedule:
    """A task, and when it is submitted."""

    task: str
    """The registered name."""
    cron: str
    """Five fields in UTC: minute, hour, day of the month, month, day of the week."""
    kwargs: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if len(self.cron.split()) != 5:
            msg = f"{self.cron!r} is not a cron line of five fields"
            raise ValueError(msg)


SCHEDULES: tuple[Schedule, ...] = (
    Schedule("app.tasks.cleanup_old_data", "0 3 * * *", MappingProxyType({"days": 30})),
    Schedule(
        "app.tasks.generate_analytics_report",
        "30 3 * * *",
        MappingProxyType({"chatbot_id": "*", "days": 7, "tenant": "*"}),
    ),
)


def by_name(schedules: tuple[Schedule, ...]) -> dict[str, Schedule]:
    """The schedules by a name that stays the same over restarts: the task's, with a number where it repeats."""
    named: dict[str, Schedule] = {}
    for schedule in schedules:
        again = sum(each.task == schedule.task for each in named.values())
        named[f"{schedule.task}-{again + 1}" if again else schedule.task] = schedule
    return named
