"""The errors of Dramatiq's brokers, as the one that this library raises."""

from collections.abc import Iterator
from contextlib import contextmanager

import pika.exceptions
import redis.exceptions
from dramatiq.errors import BrokerConnectionError

from queues.errors import BrokerUnavailableError

# ValueError: pika, when a connection is reset while it is being opened.
BROKER_ERRORS = (BrokerConnectionError, pika.exceptions.AMQPError, redis.exceptions.RedisError, OSError, ValueError)


@contextmanager
def translated() -> Iterator[None]:
    """Turn any of these into BrokerUnavailableError."""
    try:
        yield
    except BROKER_ERRORS as exc:
        msg = f"Dramatiq's broker did not answer: {type(exc).__name__}: {exc}"
        raise BrokerUnavailableError(msg) from exc
