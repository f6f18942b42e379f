"""The observers that the environment asks for. Nothing of their packages is imported before it does."""

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Self

from queues.errors import InvalidOptionError
from queues.observer import Observer, Observers, observing

PORT = "QUEUES_METRICS_PORT"
HOST = "QUEUES_METRICS_HOST"
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus_client keeps the numbers of several processes; it looks for this when it is imported."""
DEFAULT_HOST = "127.0.0.1"
LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Address:
    """Where a worker's metrics are served."""

    host: str
    port: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self | None:
        """QUEUES_METRICS_PORT and QUEUES_METRICS_HOST, by default loopback; None when there is no port.

        Raises:
            InvalidOptionError: no such port.
        """
        text = environment.get(PORT)
        if not text:
            return None
        if not text.isascii() or not text.isdecimal() or not 0 < int(text) <= 65_535:
            msg = f"{PORT} is {text[:20]!r}: a port, 1 to 65535"
            raise InvalidOptionError(msg)
        return cls(environment.get(HOST) or DEFAULT_HOST, int(text))


def observer_for(given: Observer | None) -> Observer:
    """`given`, and metrics where QUEUES_METRICS_PORT is set and `given` counts none; their errors stay their own.

    Raises:
        InvalidOptionError: no such port, or prometheus_client is not installed.
    """
    address = Address.from_environment()
    if address is None or _counts(given):
        return observing(given)
    return observing(given, metrics_module(address).PrometheusMetrics())


def metrics_module(address: Address) -> ModuleType:
    """`queues.observers.metrics`, whose numbers every process of the address adds up.

    Raises:
        InvalidOptionError: prometheus_client is not installed, or the folder of the numbers cannot be used.
    """
    if FOLDER not in os.environ and "queues.observers.metrics" not in sys.modules:
        from queues.observers import folder  # needs a Unix

        os.environ[FOLDER] = folder.claimed(address.port)
        values: Any = sys.modules.get("prometheus_client.values")
        if values is not None:
            # Imported before, as by Flower, which Celery's command line loads where it is installed.
            values.ValueClass = values.get_value_class()
    try:
        from queues.observers import metrics
    except ModuleNotFoundError as exc:
        raise _missing(exc) from exc
    return metrics


def records_module() -> ModuleType:
    """`queues.observers.records`: the metrics of what only Redis knows.

    Raises:
        InvalidOptionError: prometheus_client is not installed.
    """
    try:
        from queues.observers import records
    except ModuleNotFoundError as exc:
        raise _missing(exc) from exc
    return records


def serve_metrics(address: Address) -> None:
    """Serve this worker's metrics from a thread, until the process ends."""
    metrics_module(address)
    from queues.observers import endpoint

    endpoint.start(address.host, address.port)


def serve_metrics_beside_workers() -> int:
    """Serve the metrics of the worker processes that the parent started, until it ends; for Dramatiq's forks."""
    parent, address = os.getppid(), Address.from_environment()
    if address is not None:
        serve_metrics(address)
        while os.getppid() == parent:
            time.sleep(LOOK_EVERY_S)
    return 0


def _missing(error: ModuleNotFoundError) -> InvalidOptionError:
    return InvalidOptionError(f"metrics need their package: pip install 'onceq[metrics]' ({error})")


def _counts(observer: Observer | None) -> bool:
    module = sys.modules.get("queues.observers.metrics")
    if module is None or observer is None:
        return False
    if isinstance(observer, Observers):
        return any(_counts(one) for one in observer.each)
    return isinstance(observer, module.PrometheusMetrics)
