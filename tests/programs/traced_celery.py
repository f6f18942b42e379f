"""`celery -A traced_celery worker`."""

from traced import queue

app = queue("celery").backend.app
