"""The producer's side: Celery prepares a message as ever, and Dramatiq's broker takes it in place of kombu."""

import os
import threading
from collections.abc import Callable
from typing import Any

import dramatiq
from celery.app import amqp
from celery.utils.objects import FallbackContext
from kombu.exceptions import OperationalError
from kombu.utils.functional import retry_over_time
from kombu.utils.objects import cached_property

from compat.celery.acknowledgements import Acknowledgements
from compat.celery.broker import BROKER_ERRORS, make_broker
from compat.celery.consumer import TaskConsumer
from compat.celery.kombu_queues import is_fanout
from compat.celery.message import to_dramatiq
from compat.celery.routes import destinations

PUBLISH_RETRY = {"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}
"""kombu's own defaults for what `task_publish_retry_policy` leaves out; seconds."""


class AMQP(amqp.AMQP):
    """Celery's `app.amqp`; what is sent through it, and what a worker reads through it, is Dramatiq's."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self._broker: tuple[int, dramatiq.Broker] | None = None
        self._making = threading.Lock()

    @property
    def broker(self) -> dramatiq.Broker:
        """The broker of this process. A forked child makes its own: connections cannot be shared.

        Raises:
            ImproperlyConfigured: the setting `broker_url` names a transport that Dramatiq has no broker for.
        """
        held = self._broker
        if held is None or held[0] != os.getpid():
            # A lock that another thread of the parent held would be held forever in the child.
            if held is not None:
                self._making = threading.Lock()
            with self._making:
                held = self._broker
                if held is None or held[0] != os.getpid():
                    held = self._broker = (os.getpid(), make_broker(self.app.connection_for_write()))
        return held[1]

    def close(self) -> None:
        """Close the broker's connections of this process; a later use makes a broker anew."""
        held, self._broker = self._broker, None
        # The parent's connections are not a forked child's to close.
        if held is not None and held[0] == os.getpid():
            held[1].close()

    @cached_property  # type: ignore[untyped-decorator]
    def acknowledgements(self) -> Acknowledgements:
        """What tells the broker which messages are done: one a worker, over lost connections."""
        return Acknowledgements()

    @cached_property  # type: ignore[untyped-decorator]
    def send_task_message(self) -> Callable[..., Any]:
        """Send one message: Celery's own function, with its signals and its events, given our producer."""
        send = self._create_task_sender()

        def send_task_message(producer: Any, name: str, message: Any, **options: Any) -> Any:
            return send(TaskProducer(self, producer), name, message, **options)

        return send_task_message

    def TaskConsumer(  # noqa: N802 - Celery's name
        self, channel: Any, queues: Any = None, accept: Any = None, **options: Any
    ) -> TaskConsumer:
        """What a worker reads tasks through."""
        queues = queues or list(self.queues.consume_from.values())
        return TaskConsumer(self.app, channel, queues, accept=accept or self.app.conf.accept_content, **options)


class TaskProducer:
    """Stands where Celery expects a kombu producer, and publishes tasks through Dramatiq.

    Args:
        kombu_producer: for everything that is no task: it opens its connection when it is used, and not before.
    """

    def __init__(self, amqp_: AMQP, kombu_producer: Any) -> None:
        self._amqp = amqp_
        self.kombu_producer = kombu_producer

    @property
    def connection(self) -> Any:
        """kombu's, which Celery asks for the errors that it may retry."""
        return self.kombu_producer.connection

    def revive(self, connection: Any) -> None:
        """Nothing is held that a lost connection spoils."""

    def publish(
        self,
        body: Any,
        *,
        exchange: Any = "",
        routing_key: str = "",
        serializer: str | None = None,
        compression: str | None = None,
        headers: dict[str, Any] | None = None,
        declare: Any = None,
        retry: bool = False,
        retry_policy: dict[str, Any] | None = None,
        timeout: float | None = None,
        confirm_timeout: float | None = None,
        **properties: Any,
    ) -> None:
        """Put the message on every queue that the exchange and the routing key lead to.

        Raises:
            OperationalError: the broker did not take it, after as many attempts as the retry policy says.
            EncodeError: the serializer cannot take the arguments.
        """
        exchange = getattr(exchange, "name", exchange) or ""
        serializer = serializer or "json"
        if exchange and is_fanout(self._amqp.app, exchange):
            self.kombu_producer.publish(
                body,
                exchange=exchange,
                routing_key=routing_key,
                serializer=serializer,
                compression=compression,
                headers=headers,
                declare=declare,
                retry=retry,
                retry_policy=retry_policy,
                **properties,
            )
            return
        properties = {"priority": 0, **properties, "exchange": exchange, "routing_key": routing_key}
        for queue in destinations(self._amqp.app, exchange, routing_key, declare):
            name = self._amqp.broker.queue_for(queue)  # type: ignore[attr-defined] # of both brokers of ours
            message = to_dramatiq(
                body, name, dict(headers or {}), properties, serializer=serializer, compress=compression
            )
            self._enqueue(message, retry_policy or {} if retry else None)

    def _enqueue(self, message: dramatiq.Message[Any], retry_policy: dict[str, Any] | None) -> None:
        try:
            if retry_policy is None:
                self._amqp.broker.enqueue(message)
                return
            policy = PUBLISH_RETRY | {name: value for name, value in retry_policy.items() if name in PUBLISH_RETRY}
            retry_over_time(self._amqp.broker.enqueue, BROKER_ERRORS, args=(message,), **policy)
        except BROKER_ERRORS as exc:
            # What Celery's callers catch when the broker is away.
            text = f"the broker did not take the task {message.actor_name}[{message.message_id}]: {exc!r}"
            raise OperationalError(text) from exc


def kombu_producer(app: Any, producer: Any) -> Any:
    """A context with a kombu producer, for what is no task: events, replies."""
    return FallbackContext(getattr(producer, "kombu_producer", producer), app._acquire_producer)
