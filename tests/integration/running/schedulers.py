"""What beat and periodiq do with the service's schedules after a night without them; prints what came of it.

Run by a test with REDIS_URL and DATA_DIR of its own: both entry points build their app when they are imported.
"""

import sys
import time

import app.celery_app
import app.dramatiq_app
from queues.backends.celery.schedules import Scheduler
from queues.backends.dramatiq.schedules import ACTOR

DAY_MS = 86_400_000


def main() -> None:
    """Look twice with beat and twice with periodiq."""
    queue = app.celery_app.worker.queue
    for schedule in queue.tasks.schedules:
        queue.store.ticked(schedule.name, round(time.time() * 1000) - DAY_MS)
    beat = Scheduler(app=app.celery_app.app)
    for _ in range(2):
        beat.tick()
        app.dramatiq_app.broker.actors[ACTOR].send_with_options(scheduled_at="now")
    beat.close()
    sys.stdout.write(f"{len(queue.tasks.schedules)} schedules, {queue.unfinished()} tasks\n")
    for name in sorted(queue.store.ticks()[0]):
        sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()
