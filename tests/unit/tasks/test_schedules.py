import pytest
from celery.schedules import crontab
from periodiq import cron

from app.beat import to_celery_beat, to_periodiq_cron
from app.schedules import SCHEDULES, Schedule, by_name
from app.settings import Settings
from app.tasks.registry import build_tasks
from app.tasks.services import Services


def test_every_schedule_names_a_registered_task_and_fits_its_signature(tmp_path):
    tasks = build_tasks(Services(Settings(data_dir=tmp_path)))

    for schedule in SCHEDULES:
        tasks.get(schedule.task).signature.bind(**schedule.kwargs)

    assert {schedule.task for schedule in SCHEDULES} == {
        "app.tasks.cleanup_old_data",
        "app.tasks.generate_analytics_report",
    }


def test_beat_gets_every_schedule():
    entries = to_celery_beat(SCHEDULES)

    assert entries["app.tasks.cleanup_old_data"] == {
        "task": "app.tasks.cleanup_old_data",
        "schedule": crontab(minute="0", hour="3"),
        "kwargs": {"days": 30},
    }
    assert len(entries) == len(SCHEDULES)


def test_periodiq_reads_every_schedule():
    lines = [line for _, line in to_periodiq_cron(SCHEDULES).values()]

    assert [str(cron(line)) for line in lines] == [schedule.cron for schedule in SCHEDULES]


def test_two_schedules_of_one_task_have_two_names():
    schedules = (Schedule("a", "0 3 * * *"), Schedule("b", "0 3 * * *"), Schedule("a", "0 4 * * *"))

    assert list(by_name(schedules)) == ["a", "b", "a-2"]


@pytest.mark.parametrize("line", ["", "@daily", "* * * *", "0 3 * * * *"])
def test_a_line_that_is_not_five_fields_is_refused(line):
    with pytest.raises(ValueError, match="five fields"):
        Schedule("a", line)
