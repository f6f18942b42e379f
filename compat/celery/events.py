"""Events: Celery's own, published through kombu; monitors such as Flower read them as from any Celery worker."""

from typing import Any

from celery.app import events
from celery.events import dispatcher

from compat.celery.publish import kombu_producer


class Dispatcher(dispatcher.EventDispatcher):
    """Sends events. What a task's producer sends (`task-sent`) takes a kombu producer for it."""

    def publish(self, type: str, fields: dict[str, Any], producer: Any, **options: Any) -> Any:  # noqa: A002 - Celery's name
        """Publish one event through kombu."""
        if not hasattr(producer, "kombu_producer"):
            return super().publish(type, fields, producer, **options)
        with kombu_producer(self.app, producer) as kombu:
            return super().publish(type, fields, kombu, **options)


class Events(events.Events):
    """Celery's `app.events`."""

    dispatcher_cls = "compat.celery.events:Dispatcher"
