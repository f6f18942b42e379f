from app.settings import Settings
from app.tasks.registry import build_tasks
from app.tasks.services import Services


def test_the_service_cleans_up_and_reports_each_night_and_makes_up_for_a_missed_one(tmp_path):
    tasks = build_tasks(Services(Settings(data_dir=tmp_path)))

    assert [(s.task, s.when, s.timezone, s.catch_up) for s in tasks.schedules] == [
        ("app.tasks.cleanup_old_data", "0 3 * * *", "UTC", "last"),
        ("app.tasks.generate_analytics_report", "30 3 * * *", "UTC", "last"),
    ]
