"""Dramatiq as it comes."""

import os
import sys
from typing import Any

import dramatiq
import work
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker

URL = os.environ["BENCH_BROKER_URL"]
broker: Any = RabbitmqBroker(url=URL) if URL.startswith("amqp") else RedisBroker(url=URL)  # type: ignore[no-untyped-call] # dramatiq
dramatiq.set_broker(broker)
# A task's return value would only be warned of: there is no result backend.
ACTORS: dict[str, Any] = {}


def _declare(kind: str) -> None:
    function = work.WORK[kind]

    def run(*arguments: Any) -> None:
        function(*arguments)

    ACTORS[kind] = dramatiq.actor(actor_name=f"bench.{kind}", queue_name=os.environ["BENCH_QUEUE"], broker=broker)(run)


for _kind in work.WORK:
    _declare(_kind)


def send(kind: str, numbers: range) -> None:
    """`send`, one after another."""
    submit = ACTORS[kind].send
    for number in numbers:
        submit(*work.arguments(kind, number))


def worker(concurrency: int) -> list[str]:
    """Dramatiq's own command; the threads are its default."""
    return [sys.executable, "-m", "dramatiq", "dramatiq_bare:broker", "-p", str(concurrency), "-t", "8"]
