"""A Django project's Celery application on Dramatiq."""

import os

from compat.celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "compat_django_settings")

app = Celery("compat_django")
app.config_from_object("django.conf:settings", namespace="CELERY")


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task
def fail(text: str) -> None:
    raise ValueError(text)
