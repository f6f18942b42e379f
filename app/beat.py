"""The schedules in the forms that Celery beat and periodiq take."""

from typing import TypedDict

from celery.schedules import crontab

from app.schedules import Schedule, by_name


class BeatEntry(TypedDict):
    """One entry of Celery's `beat_schedule`."""

    task: str
    schedule: crontab
    kwargs: dict[str, object]


def to_celery_beat(schedules: tuple[Schedule, ...]) -> dict[str, BeatEntry]:
    """Celery's `beat_schedule`; run beat in UTC, as the schedules are."""
    return {
        name: BeatEntry(task=schedule.task, schedule=crontab.from_string(schedule.cron), kwargs=dict(schedule.kwargs))
        for name, schedule in by_name(schedules).items()
    }


def to_periodiq_cron(schedules: tuple[Schedule, ...]) -> dict[str, tuple[Schedule, str]]:
    """For each name the schedule and the line for `periodiq.cron`.

    periodiq sends its actor without arguments, so the actor it is given must add the schedule's own.
    """
    return {name: (schedule, schedule.cron) for name, schedule in by_name(schedules).items()}
