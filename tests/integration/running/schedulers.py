"""What beat and periodiq do at the time of each schedule, in one process; prints `scheduler schedule task-id`.

Run by a test with REDIS_URL and DATA_DIR of its own: both entry points build their app when they are imported.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pendulum

import app.celery_app
import app.dramatiq_app
import app.ticks
from app.schedules import SCHEDULES, by_name
from queues import Handle


def main() -> None:
    """Tick twice with beat and twice with periodiq."""
    told: list[Handle] = []
    submit = app.ticks.submit_tick
    noon = datetime.now(UTC).replace(second=30)

    def submitted(tasks: Any, name: str, schedule: Any) -> Handle:
        # One minute for all of them, whenever the test runs.
        told.append(submit(tasks, name, schedule, noon))
        return told[-1]

    app.celery_app.submit_tick = app.dramatiq_app.submit_tick = submitted
    beat = app.celery_app.TickScheduler(
        app=app.celery_app.app, schedule_filename=str(Path(app.celery_app.worker.settings.data_dir) / "beat")
    )
    for name in by_name(SCHEDULES):
        for _ in range(2):
            result = beat.apply_async(beat.schedule[name])
            sys.stdout.write(f"beat {name} {result.id if result else None}\n")
        for _ in range(2):
            actor = app.dramatiq_app.broker.actors[f"tick.{name}"]
            actor.send_with_options(scheduled_at=str(pendulum.now()))
            sys.stdout.write(f"periodiq {name} {told[-1].id}\n")
    beat.close()
    later = submit(app.celery_app.worker.tasks, name, by_name(SCHEDULES)[name], noon + timedelta(minutes=1))
    sys.stdout.write(f"later {name} {later.id}\n")
    spec = app.dramatiq_app.broker.actors["tick.app.tasks.cleanup_old_data"].options["periodic"]
    here = pendulum.datetime(2026, 1, 1, 3, 0, tz="UTC").in_timezone("America/New_York")
    following = spec.next_valid_date(here).in_timezone("UTC")
    sys.stdout.write(f"utc {spec.validate(here)} {following:%Y-%m-%dT%H:%M}\n")


if __name__ == "__main__":
    main()
