import asyncio

import pytest

from app.settings import Settings
from app.tasks.registry import build_tasks
from app.tasks.services import Services


@pytest.fixture
def tasks(tmp_path):
    return build_tasks(Services(Settings(data_dir=tmp_path)))


def test_the_five_tasks_have_their_names(tasks):
    assert tasks.names == (
        "app.tasks.cleanup_old_data",
        "app.tasks.generate_analytics_report",
        "app.tasks.process_document",
        "app.tasks.scrape_website",
        "app.tasks.send_notification",
    )


@pytest.mark.parametrize(
    ("name", "queue", "max_retries", "base_s"),
    [
        ("process_document", "documents", 3, 60),
        ("scrape_website", "websites", 3, 60),
        ("send_notification", "notifications", 3, 30),
        ("cleanup_old_data", "maintenance", 2, 60),
        ("generate_analytics_report", "reports", 2, 60),
    ],
)
def test_a_task_has_its_queue_and_retries(tasks, name, queue, max_retries, base_s):
    task = tasks.get(f"app.tasks.{name}")

    assert (task.queue, task.max_retries, task.backoff.base_s) == (queue, max_retries, base_s)
    assert task.is_async


def test_building_the_tasks_twice_gives_two_sets(tmp_path):
    services = Services(Settings(data_dir=tmp_path))

    first, second = build_tasks(services), build_tasks(services)

    assert first.get("app.tasks.process_document") is not second.get("app.tasks.process_document")


def test_declaring_opens_nothing(tmp_path):
    services = Services(Settings(data_dir=tmp_path / "none", mongo_url="mongodb://127.0.0.1:1"))

    build_tasks(services)
    asyncio.run(services.close())

    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"webhook_url": "http://example.com/"},
        {"webhook_url": "http://example.com/", "webhook_secret": ""},
        {"smtp_url": "smtp://:hush@host"},
        {"smtp_url": "smtp://host", "smtp_from": "nobody"},
        {"fetch_allow": "no port"},
    ],
)
def test_settings_that_cannot_be_used_are_refused_at_the_start(tmp_path, settings):
    services = Services(Settings(data_dir=tmp_path, **settings))

    with pytest.raises(ValueError, match=r".") as caught:
        services.check()

    assert "hush" not in str(caught.value)


def test_settings_without_channels_are_fine(tmp_path):
    Services(Settings(data_dir=tmp_path)).check()
