"""Celery beat, submitting by the schedules of `Tasks`: `celery -A shop_celery beat`."""

from typing import Any

from celery.beat import Scheduler as BeatScheduler

from queues.backends.celery.engine import Engine
from queues.errors import InvalidOptionError
from queues.ticker import Ticker


class Scheduler(BeatScheduler):
    """What beat schedules with; apps that `connect` made have it, others name it with `beat -S`.

    Several may run, beside periodiq too: what they submitted is remembered with the records, in no file. Entries of
    Celery's own `beat_schedule` are sent as well; of these alone, nothing is remembered when beat ends.

    Raises:
        InvalidOptionError: the app belongs to no `Queue`.
    """

    _ticker: Ticker

    def setup_schedule(self) -> None:
        """Find the schedules of the app's tasks."""
        engine = Engine.of(self.app)
        if engine is None:
            msg = "beat -S queues.backends.celery.schedules:Scheduler is for an app that `connect` made, or was given"
            raise InvalidOptionError(msg)
        self._ticker = Ticker(engine.tasks, engine.store)
        super().setup_schedule()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Submit what is due; after how many seconds beat looks again."""
        wait_s = self._ticker.tick()
        return min(wait_s, float(super().tick(*args, **kwargs)))

    @property
    def info(self) -> str:
        """What beat's banner shows."""
        return "    . schedules -> remembered beside the records"
