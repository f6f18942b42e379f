"""Celery code, unchanged, on Dramatiq: `from compat.celery import Celery`, or `install(app)` on an app that exists.

Celery's client objects, canvas, signals, request, tracer and result backends stay Celery's own. What changes is how
messages travel (`publish`, `message`, `brokers`: Dramatiq's brokers and consumers, in place of kombu's) and what runs
them (`worker`, `consumer`, `processes`). Everything is joined at Celery's official seams; `celery` itself is untouched.
"""

from celery import shared_task

from compat.celery.app import Celery, install

__all__ = ["Celery", "install", "shared_task"]
