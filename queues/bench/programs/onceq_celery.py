"""What `celery -A` looks for."""

from onceq_tasks import queue

app = queue.backend.app
