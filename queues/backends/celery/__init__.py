"""Celery: a backend of this library, and a task class for any Celery application."""

from queues.backends.celery.backend import CeleryBackend
from queues.backends.celery.task import IdempotentTask

__all__ = ["CeleryBackend", "IdempotentTask"]
