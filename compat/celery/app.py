"""The application: Celery's, with the seams of this package."""

from types import MethodType
from typing import Any

import celery
from celery import signals
from celery.utils.objects import Bunch

from compat.celery.flower import count_in_dramatiq
from compat.celery.results import BACKENDS

SEAMS = Bunch(
    amqp_cls="compat.celery.publish:AMQP",
    control_cls="compat.celery.control:Control",
    events_cls="compat.celery.events:Events",
)
"""Celery's own names for what an application is made of."""
DEFAULTS = {"worker_consumer": "compat.celery.worker:Consumer"}


class Celery(celery.Celery):
    """Celery's application, whose tasks travel through Dramatiq's brokers; takes the same arguments."""

    amqp_cls = SEAMS.amqp_cls
    control_cls = SEAMS.control_cls
    events_cls = SEAMS.events_cls

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        install(self)


def install(app: celery.Celery) -> celery.Celery:
    """Let an application that exists send and run its tasks through Dramatiq, from now on. Safe to repeat.

    Tasks, settings and results stay as they are. Call it where the application is made, before it is used: what
    was sent earlier is in Celery's own queues.

    Returns:
        The same application.
    """
    for seam, path in vars(SEAMS).items():
        if getattr(app, seam) != path:
            setattr(app, seam, path)
    for cached in ("amqp", "control", "events", "Worker"):
        app.__dict__.pop(cached, None)
    app.__dict__["Worker"] = app.subclass_with_self("compat.celery.worker:Worker", name="Worker")
    app.__dict__["close"] = MethodType(_close, app)
    app.add_defaults(DEFAULTS)
    app.loader.override_backends = {**BACKENDS, **app.loader.override_backends}
    signals.import_modules.connect(count_in_dramatiq)
    return app


def _close(app: celery.Celery) -> None:
    """Celery's own `close`, and the connections of Dramatiq's broker."""
    if (amqp := app.__dict__.get("amqp")) is not None:
        amqp.close()
    type(app).close(app)


def is_installed(app: celery.Celery) -> bool:
    """Whether the application's tasks travel through Dramatiq."""
    return bool(app.amqp_cls == SEAMS.amqp_cls)
