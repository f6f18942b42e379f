"""`celery -A chaos_celery worker`."""

from typing import Any

from chaos_program import queue

backend: Any = queue().backend
app = backend.app
