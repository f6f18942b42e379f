"""The seam to Dramatiq's brokers: which one serves a Celery application's `broker_url`."""

from collections.abc import Sequence
from typing import Any, Protocol

import dramatiq
import pika.exceptions
import redis.exceptions
from celery.exceptions import ImproperlyConfigured
from dramatiq.errors import BrokerConnectionError

from compat.celery.brokers.depth import Depth
from compat.celery.brokers.memory import in_memory
from compat.celery.brokers.rabbitmq import RabbitmqQueues
from compat.celery.brokers.redis import RedisQueues

# ValueError: pika, when a connection is reset while it is being opened.
BROKER_ERRORS = (BrokerConnectionError, pika.exceptions.AMQPError, redis.exceptions.RedisError, OSError, ValueError)


class Queues(Protocol):
    """What the shim asks of a Dramatiq broker, beside Dramatiq's own methods."""

    def queue_for(self, name: str) -> str:
        """Dramatiq's name of a Celery queue: in the shim's own namespace, with no reserved character."""
        ...

    def create(self, queue_name: str) -> None:
        """Have the queue of that name, Dramatiq's, there."""
        ...

    def purge(self, name: str) -> int:
        """Drop what waits in a Celery queue; returns how many messages."""
        ...

    def depths(self, names: Sequence[str]) -> list[Depth]:
        """How much is in each of these Celery queues; nothing in one that is not there."""
        ...


def make_broker(connection: Any) -> dramatiq.Broker:
    """The Dramatiq broker for a kombu connection, which has read the URL and the transport options already.

    Raises:
        ImproperlyConfigured: no broker of Dramatiq's speaks the transport.
    """
    kind = connection.transport.driver_type
    if connection.transport_cls in ("sentinel", "sentinels"):
        kind = "sentinel"
    match kind:
        case "redis":
            return RedisQueues.of(connection)
        case "amqp":
            return RabbitmqQueues.of(connection)
        case "memory":
            return in_memory()
    text = (
        f"the transport {connection.transport_cls!r} of broker_url has no broker in Dramatiq; use redis:// or amqp://"
    )
    raise ImproperlyConfigured(text)
