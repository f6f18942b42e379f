"""What the service does by the clock; Celery beat and periodiq are told of it in the same way."""

from queues import Tasks


def declare(tasks: Tasks) -> None:
    """Have the clean-up and the reports of all chatbots run each night, in UTC.

    A night that the scheduler slept through is made up for when it starts.
    """
    tasks.schedule("0 3 * * *", kwargs={"days": 30})(tasks.get("app.tasks.cleanup_old_data"))
    report = tasks.get("app.tasks.generate_analytics_report")
    tasks.schedule("30 3 * * *", kwargs={"chatbot_id": "*", "days": 7, "tenant": "*"})(report)
