"""`celery -A onceq_celery worker`, and `queues migrate onceq_celery`."""

from crash_points import arm
from onceq_program import tasks

from queues import connect

arm()
queue = connect(tasks, backend="celery")
app = queue.backend.app
