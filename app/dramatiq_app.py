"""`dramatiq app.dramatiq_app` is the worker of the service on Dramatiq, `periodiq app.dramatiq_app` its scheduler."""

import dramatiq

from app.worker import build_worker
from queues.backends.dramatiq import DramatiqBackend


def _make_broker() -> dramatiq.Broker:
    backend = build_worker(backend="dramatiq").queue.backend
    if not isinstance(backend, DramatiqBackend):
        msg = f"the backend is {backend.name}, not dramatiq"
        raise TypeError(msg)
    return backend.broker


# Built at import, as `dramatiq` and `periodiq` want it: they import a module and take the global broker.
broker = _make_broker()
dramatiq.set_broker(broker)
