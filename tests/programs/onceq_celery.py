"""`celery -A onceq_celery worker`, and `queues migrate onceq_celery`."""

from onceq_program import tasks

from queues import connect

queue = connect(tasks, backend="celery")
app = queue.backend.app
