"""Acknowledgements on Redis that travel with what the worker writes anyway.

kombu makes a client, and sends a transaction, for every message that it takes and for every one that is acknowledged:
half of what the main process of a Celery worker computes. Here an acknowledgement goes with the next message's
transaction; at once, when the worker has nothing else in hand; and after a second at the latest. A message whose
acknowledgement is still to be sent when its worker dies is delivered again, and answered by its outcome.

Not for an app that has tasks of its own: one that is acknowledged before it runs must not come again.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import kombu.transport.redis
import kombu.transport.virtual
from celery import bootsteps
from kombu.utils.json import dumps

from queues.backends.celery.publisher import BROKER_ERRORS

if TYPE_CHECKING:
    from celery.worker.consumer import Consumer

logger = logging.getLogger(__name__)

LONGEST_WAIT_S = 1.0
MOST_TAGS = 256
"""In one transaction."""


class TravellingAcks(kombu.transport.redis.QoS):
    """kombu's bookkeeping of what a channel has taken, with acknowledgements sent together.

    Args:
        ended: tags of what is to be acknowledged; outlives the channel, for the one after a lost connection.
    """

    def __init__(self, channel: Any, ended: deque[str]) -> None:
        super().__init__(channel)
        self._ended = ended
        self._client: Any = None

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note a message that was taken, as kombu does."""
        place = message.delivery_info
        entry = dumps([message._raw, place["exchange"], place["routing_key"]])
        with self._transaction() as pipe:
            pipe.zadd(self.unacked_index_key, {delivery_tag: time.time()})
            pipe.hset(self.unacked_key, delivery_tag, entry)
        kombu.transport.virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Have the message acknowledged with the next one that is taken, or soon."""
        self._ended.append(delivery_tag)
        self._quick_ack(delivery_tag)
        if len(self._delivered) <= len(self._dirty):
            self.send()

    def send(self) -> None:
        """Acknowledge what is still to be; left to the next channel where this one is closed and has no client."""
        while self._ended and (self._client is not None or self._has_address):
            with self._transaction():
                """Nothing but that."""

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Give back what has not ended; the channel is being closed."""
        try:
            self.send()
        except BROKER_ERRORS as exc:
            logger.warning("%d acknowledgements are left to the next connection: %s", len(self._ended), exc)
        if self._has_address:
            super().restore_unacked_once(stderr)
        elif self._delivered:
            logger.warning("%d messages are left to be given back by recovery", len(self._delivered))
            self._delivered.clear()

    @property
    def _has_address(self) -> bool:
        # Celery collects a lost connection before it closes it, and a closed channel has none. Then kombu has no
        # address any more to make a client of: it raises AttributeError, of which the worker ends.
        return getattr(self.channel.connection, "client", None) is not None

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        # Other threads add and take meanwhile.
        tags: list[str] = []
        with suppress(IndexError):
            while len(tags) < MOST_TAGS:
                tags.append(self._ended.popleft())
        self._client = self._client or self.channel._create_client()
        try:
            with self._client.pipeline() as pipe:
                if tags:
                    pipe.zrem(self.unacked_index_key, *tags)
                    pipe.hdel(self.unacked_key, *tags)
                yield pipe
                pipe.execute()
        except BaseException:
            self._ended.extend(tags)
            raise


class AcksStep(bootsteps.StartStopStep):
    """Has the consumer's channel keep its books so, where it is one of Redis."""

    def __init__(self, consumer: "Consumer", **options: Any) -> None:
        super().__init__(consumer, **options)
        self._ended: deque[str] = deque()
        self._acks: TravellingAcks | None = None
        self._timer: Any = None
        consumer.connect = self._watched(consumer.connect)

    def start(self, consumer: "Consumer") -> None:
        """Let no acknowledgement wait for long."""
        self._timer = consumer.timer.call_repeatedly(LONGEST_WAIT_S, self._send)

    def stop(self, consumer: "Consumer") -> None:
        """What is left is sent when the channel is closed."""
        if self._timer is not None:
            self._timer.cancel()

    terminate = stop

    def _watched(self, connect: Callable[[], Any]) -> Callable[[], Any]:
        def connect_and_watch() -> Any:
            connection = connect()
            channel = connection.default_channel
            if isinstance(channel, kombu.transport.redis.Channel) and channel.ack_emulation:
                channel.qos._on_collect.cancel()  # it has taken nothing yet
                channel._qos = self._acks = TravellingAcks(channel, self._ended)
            return connection

        return connect_and_watch

    def _send(self) -> None:
        try:
            if self._acks is not None:
                self._acks.send()
        except BROKER_ERRORS as exc:
            logger.warning("%d acknowledgements are sent later: %s", len(self._ended), exc)
