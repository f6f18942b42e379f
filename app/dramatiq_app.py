"""`dramatiq app.dramatiq_app` is the worker of the service on Dramatiq, `periodiq app.dramatiq_app` its scheduler."""

import logging
from datetime import datetime
from typing import Any

import dramatiq
from periodiq import CronSpec, PeriodiqMiddleware

from app.beat import to_periodiq_cron
from app.schedules import SCHEDULES, Schedule
from app.ticks import submit_tick
from app.worker import Worker, build_worker
from queues.backends.dramatiq import DramatiqBackend
from queues.errors import QueueError

_LOG = logging.getLogger(__name__)


class UtcCron(CronSpec):
    """A cron line in UTC; periodiq itself goes by the machine's time zone."""

    def validate(self, date: Any) -> bool:
        """Whether the moment matches."""
        return bool(super().validate(date.in_timezone("UTC")))

    def next_valid_date(self, last: Any) -> datetime:
        """The next moment that matches."""
        following: datetime = super().next_valid_date(last.in_timezone("UTC"))
        return following


class TickActor(dramatiq.Actor[[], None]):
    """What periodiq sends at its time: the schedule's task is submitted then and there.

    As a message of its own it would first wait in a queue, and periodiq's middleware drops what waits for more
    than half a minute.
    """

    def send_with_options(self, **_options: Any) -> Any:
        """Submit the task. An error is logged: periodiq would end of it, and with it the other schedules."""
        try:
            self.fn()
        except QueueError:
            _LOG.exception("%s was not submitted", self.actor_name)


def _make_broker(worker: Worker) -> dramatiq.Broker:
    backend = worker.queue.backend
    if not isinstance(backend, DramatiqBackend):
        msg = f"the backend is {backend.name}, not dramatiq"
        raise TypeError(msg)
    made = backend.broker
    made.add_middleware(PeriodiqMiddleware())  # for the actors' option `periodic`
    for name, (schedule, cron) in to_periodiq_cron(SCHEDULES).items():
        _declare_tick(made, worker, name, schedule, cron)
    return made


def _declare_tick(made: dramatiq.Broker, worker: Worker, name: str, schedule: Schedule, cron: str) -> None:
    def tick() -> None:
        submit_tick(worker.tasks, name, schedule)

    declare = dramatiq.actor(
        actor_class=TickActor, actor_name=f"tick.{name}", periodic=UtcCron.parse(cron), broker=made, max_retries=0
    )
    declare(tick)


# Built at import, as `dramatiq` and `periodiq` want it: they import a module and take the global broker.
broker = _make_broker(build_worker(backend="dramatiq"))
dramatiq.set_broker(broker)
