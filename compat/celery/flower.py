"""Flower's page of the broker: the queues of an application on Dramatiq are counted in Dramatiq's broker.

All else that Flower shows and does travels through events and remote control, which stay Celery's. Its depths of queues
it reads from the broker itself, where it knows kombu's names alone.
"""

import asyncio
import sys
from collections.abc import Iterable
from typing import Any

from compat.celery.publish import AMQP


def count_in_dramatiq(**_: Any) -> None:
    """Have Flower ask us, if it runs in this process. Celery's signal `import_modules`, which it sends at its start."""
    views = sys.modules.get("flower.views")
    handler_class = getattr(views, "BaseHandler", None)
    if handler_class is None or handler_class.get_broker.__module__ == __name__:
        return
    of_kombu = handler_class.get_broker

    def get_broker(handler: Any) -> Any:
        amqp = handler.capp.amqp
        return Depths(amqp) if isinstance(amqp, AMQP) else of_kombu(handler)

    handler_class.get_broker = get_broker


class Depths:
    """What Flower calls a broker: it tells the depths of queues."""

    def __init__(self, amqp: AMQP) -> None:
        self._amqp = amqp

    async def queues(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """The queues of these names, each as RabbitMQ's management describes it, as far as the broker can tell."""
        return await asyncio.get_running_loop().run_in_executor(None, self._described, list(names))

    def _described(self, names: list[str]) -> list[dict[str, Any]]:
        found = []
        depths = self._amqp.broker.depths(names)  # type: ignore[attr-defined] # of all brokers of ours
        for name, depth in zip(names, depths, strict=True):
            told = {
                "messages": depth.waiting_messages,  # as Flower counts Celery's queues on Redis
                "messages_ready": depth.waiting_messages,
                "messages_unacknowledged": depth.unacknowledged_messages,
                "consumers": depth.consumers,
            }
            found.append({"name": name, **{key: value for key, value in told.items() if value is not None}})
        return found
