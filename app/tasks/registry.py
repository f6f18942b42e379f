"""All tasks of the service."""

from app import schedules
from app.tasks import (
    cleanup_old_data,
    generate_analytics_report,
    process_document,
    scrape_website,
    send_notification,
)
from app.tasks.services import Services
from queues import Tasks

NAMESPACE = "app.tasks"


def build_tasks(services: Services) -> Tasks:
    """The five tasks and their schedules, named `app.tasks.<function>`, working with these services. Opens nothing."""
    tasks = Tasks(namespace=NAMESPACE)
    for module in (
        process_document,
        scrape_website,
        send_notification,
        cleanup_old_data,
        generate_analytics_report,
    ):
        module.declare(tasks, services)
    schedules.declare(tasks)
    return tasks
