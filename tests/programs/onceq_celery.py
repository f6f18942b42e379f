"""`celery -A onceq_celery worker`."""

from onceq_program import tasks

from queues import connect

app = connect(tasks, backend="celery").backend.app
