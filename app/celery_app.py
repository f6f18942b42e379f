"""`celery -A app.celery_app worker|beat|inspect registered|...`: the service on Celery."""

from typing import Any

from celery import Celery
from celery.beat import PersistentScheduler, ScheduleEntry, SchedulingError

from app.beat import to_celery_beat
from app.schedules import SCHEDULES, by_name
from app.ticks import submit_tick
from app.worker import build_worker
from queues import Handle
from queues.backends.celery import CeleryBackend
from queues.errors import QueueError

# Built at import, as `celery -A` wants it: it imports a module and takes its app.
worker = build_worker(backend="celery")


class TickScheduler(PersistentScheduler):
    """Celery beat's scheduler, which submits through the library: what several of them send runs once.

    It remembers its last runs in a file, so a tick that fell into the time when beat was down is made up for.
    """

    def setup_schedule(self) -> None:
        """Open the file with the last runs; its folder is made when missing."""
        worker.settings.data_dir.mkdir(parents=True, exist_ok=True)
        super().setup_schedule()

    def apply_async(
        self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **_options: Any
    ) -> Handle | None:
        """Submit the entry's task; None for an entry that is Celery's own.

        Raises:
            SchedulingError: it was refused, or no server answered for long; beat logs it and goes on.
        """
        schedule = by_name(SCHEDULES).get(entry.name)
        if schedule is None:
            super().apply_async(entry, producer=producer, advance=advance)
            return None
        if advance:
            self.reserve(entry)
        try:
            return submit_tick(worker.tasks, entry.name, schedule)
        except QueueError as exc:
            msg = f"{entry.name} was not submitted: {exc}"
            raise SchedulingError(msg) from exc
        finally:
            # A tick is rare: remembered at once, a crash does not make it again.
            self._do_sync()


def _make_app() -> Celery:
    backend = worker.queue.backend
    if not isinstance(backend, CeleryBackend):
        msg = f"the backend is {backend.name}, not celery"
        raise TypeError(msg)
    made = backend.app
    made.conf.update(
        beat_schedule=to_celery_beat(SCHEDULES),
        beat_scheduler="app.celery_app:TickScheduler",
        beat_schedule_filename=str(worker.settings.data_dir / "celerybeat-schedule"),
        worker_proc_alive_timeout=30,
    )
    return made


app = celery_app = _make_app()
