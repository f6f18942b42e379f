"""periodiq, submitting by the schedules of `Tasks`: `periodiq shop_dramatiq:broker`."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware

from queues.tasks import Tasks
from queues.ticker import TRY_AGAIN_S, Ticker

logger = logging.getLogger(__name__)

ACTOR = "onceq.tick"


class Periodic(Middleware):
    """Lets actors have the option by which periodiq knows them; periodiq itself is needed where it runs only."""

    @property
    def actor_options(self) -> set[str]:
        """`periodic`, as in periodiq's own middleware."""
        return {"periodic"}


class Moments:
    """What periodiq takes for a cron line: it asks when to wake, and every wake is a look at the schedules."""

    def __init__(self) -> None:
        self.wait_s = TRY_AGAIN_S

    def validate(self, date: datetime) -> bool:
        """True: what is due is found by looking."""
        return True

    def next_valid_date(self, last: datetime) -> datetime:
        """When to look again."""
        return datetime.now(UTC) + timedelta(seconds=max(self.wait_s, 0.001))

    def __str__(self) -> str:
        return "the schedules of onceq"


class TickActor(dramatiq.Actor[[], None]):
    """What periodiq sends when it wakes: the tasks are submitted then and there.

    As a message of its own it would first wait in a queue, and be late.
    """

    def send_with_options(self, **_options: Any) -> Any:
        """Look at the schedules. An error is logged: periodiq would end of it."""
        try:
            self.fn()
        except Exception:  # the outermost step of a scheduler: without it, all its schedules would end
            logger.exception("the schedules are looked at again")


def declare_ticks(broker: dramatiq.Broker, tasks: Tasks, ticker: Ticker) -> None:
    """Have periodiq find the schedules on the broker; nothing when there are none."""
    if not tasks.schedules:
        return
    moments = Moments()

    def tick() -> None:
        moments.wait_s = TRY_AGAIN_S
        moments.wait_s = ticker.tick()

    broker.add_middleware(Periodic())
    first = next(iter(tasks.schedules))
    declare = dramatiq.actor(
        actor_class=TickActor,
        actor_name=ACTOR,
        queue_name=tasks.get(first.task).queue,
        periodic=moments,
        broker=broker,
        max_retries=0,
    )
    declare(tick)
