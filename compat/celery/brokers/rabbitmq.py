"""Dramatiq's RabbitMQ broker in the shim's namespace, with consumers whose prefetch can change."""

import logging
import ssl
import time
from collections.abc import Iterable, Sequence
from typing import Any, Self

import pika
import pika.exceptions
from dramatiq.broker import MessageProxy
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer
from kombu import Connection

from compat.celery.brokers.depth import Depth
from compat.celery.brokers.lost import told_as_closed
from compat.celery.brokers.names import quoted

NAMESPACE = "celery-dramatiq."
MAX_PRIORITY = 10
"""Celery's documentation uses 0 to 9 and 10; RabbitMQ keeps a list for each."""
ERRORS = (AssertionError, pika.exceptions.AMQPConnectionError, pika.exceptions.AMQPChannelError)


class WindowConsumer(_RabbitmqConsumer):
    """Reads one queue; RabbitMQ itself keeps count of what is unacknowledged, on the channel of each queue."""

    window: Any = None
    """Set by the reader: `limit_messages`."""
    redelivers = True
    """RabbitMQ delivers again what was unacknowledged when a connection is lost."""

    def __init__(self, broker: Any, queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, 0, timeout)  # type: ignore[no-untyped-call] # dramatiq
        self._limit_messages = -1
        self._set_limit(prefetch)

    def __next__(self) -> MessageProxy | None:
        if self.window is not None:
            self._set_limit(self.window.limit_messages)
        message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call] # dramatiq
        return message

    def _set_limit(self, limit_messages: int) -> None:
        if limit_messages == self._limit_messages:
            return
        self._limit_messages = limit_messages
        with told_as_closed(ERRORS):
            # For the channel, not for consumers to come: this one's limit is 0, unlimited.
            self.channel.basic_qos(prefetch_count=limit_messages, global_qos=True)

    def settled(self) -> None:
        """RabbitMQ counts by itself."""

    def ack_all(self, messages: Iterable[MessageProxy]) -> None:
        """Take the messages off the queue; the consumer's own thread sends it."""
        if not self.connection.is_open:
            return  # they are delivered again; no acknowledgement can reach them
        for message in messages:
            self.ack(message)  # type: ignore[no-untyped-call] # dramatiq

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Give messages back, to the place that they had."""
        if not self.connection.is_open:
            return
        with told_as_closed(ERRORS):
            for message in messages:
                tag: Any = message._tag
                self.known_tags.discard(tag)
                self.connection.add_callback_threadsafe(lambda tag=tag: self.channel.basic_nack(tag, requeue=True))

    def stop(self) -> None:
        """Be sent nothing more; what was sent and not handed on goes back."""
        with told_as_closed(ERRORS):
            self.channel.cancel()

    def pump(self, wait_s: float) -> None:
        """Send what was acknowledged, and keep the connection alive, while nothing is read."""
        with told_as_closed(ERRORS):
            self.connection.process_data_events(time_limit=wait_s)
        if not self.connection.is_open:
            time.sleep(wait_s)


class RabbitmqQueues(RabbitmqBroker):
    """Dramatiq's RabbitMQ broker in the shim's namespace; each message is confirmed."""

    @classmethod
    def of(cls, connection: Any) -> Self:
        """The broker on the same RabbitMQ as a kombu connection, with its alternatives."""
        alternatives = [Connection(url) for url in connection.alt] or [connection]
        if (told := logging.getLogger("pika")).level == logging.NOTSET:
            told.setLevel(logging.WARNING)  # at INFO, a worker's level, it tells of each state of each connection
        parameters = [_parameters(alternative, connection) for alternative in alternatives]
        return cls(parameters=parameters, confirm_delivery=True, max_priority=MAX_PRIORITY, middleware=[])

    @property
    def consumer_class(self) -> type[WindowConsumer]:
        """What reads a queue."""
        return WindowConsumer

    def queue_for(self, name: str) -> str:
        """Dramatiq's name of a Celery queue."""
        return NAMESPACE + quoted(name)

    def create(self, queue_name: str) -> None:
        """Have the queue there, with its queue of dead letters."""
        self.declare_queue(queue_name, ensure=True)

    def purge(self, name: str) -> int:
        """Drop what waits in a Celery queue; returns how many messages."""
        queue = self.queue_for(name)
        self.declare_queue(queue, ensure=True)
        return int(self.channel.queue_purge(queue).method.message_count)

    def depths(self, names: Sequence[str]) -> list[Depth]:
        """How much waits in each of these Celery queues; RabbitMQ tells a client no more."""
        # Of its own: who asks does so seldom, and a connection without heartbeats is closed in between.
        with pika.BlockingConnection(self.parameters) as connection:
            return [_depth(connection, self.queue_for(name)) for name in names]


def _depth(connection: pika.BlockingConnection, queue: str) -> Depth:
    try:
        with connection.channel() as channel:
            found = channel.queue_declare(queue, passive=True).method
            return Depth(found.message_count, consumers=found.consumer_count)
    except pika.exceptions.ChannelClosedByBroker:
        return Depth(0, consumers=0)  # nobody has declared it


def _parameters(alternative: Any, connection: Any) -> dict[str, Any]:
    credentials = pika.PlainCredentials(alternative.userid or "guest", alternative.password or "guest")
    parameters: dict[str, Any] = {
        "host": alternative.hostname or "localhost",
        "port": alternative.port or (5671 if connection.ssl else 5672),
        "virtual_host": alternative.virtual_host or "/",
        "credentials": credentials,
    }
    if connection.heartbeat:
        parameters["heartbeat"] = int(connection.heartbeat)
    if connection.ssl:
        parameters["ssl_options"] = pika.SSLOptions(_tls(connection.ssl), parameters["host"])
    return parameters


def _tls(options: Any) -> ssl.SSLContext:
    """The context for `broker_use_ssl`: True, or what Celery takes in it."""
    options = options if isinstance(options, dict) else {}
    context = ssl.create_default_context(cafile=options.get("ca_certs"))
    if options.get("certfile"):
        context.load_cert_chain(options["certfile"], options.get("keyfile"))
    if options.get("cert_reqs") == ssl.CERT_NONE:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
