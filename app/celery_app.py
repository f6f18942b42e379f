"""`celery -A app.celery_app worker|beat|inspect registered|...`: the service on Celery."""

from celery import Celery

from app.worker import build_worker
from queues.backends.celery import CeleryBackend

# Built at import, as `celery -A` wants it: it imports a module and takes its app.
worker = build_worker(backend="celery")


def _make_app() -> Celery:
    backend = worker.queue.backend
    if not isinstance(backend, CeleryBackend):
        msg = f"the backend is {backend.name}, not celery"
        raise TypeError(msg)
    backend.app.conf.update(worker_proc_alive_timeout=30)
    return backend.app


app = celery_app = _make_app()
