"""Prometheus metrics of what only Redis knows: what is unfinished, how old it is, what failed, who is there."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Metric, generate_latest, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from queues.errors import StoreUnavailableError
from queues.stores.redis_census import Census


class Records(Collector):
    """Takes a census for each scrape.

    Args:
        take: gives the census.
    """

    def __init__(self, take: Callable[[], Census]) -> None:
        self._take = take

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now; `onceq_redis_up 0` alone when the server does not answer."""
        try:
            census = self._take()
        except StoreUnavailableError:
            yield GaugeMetricFamily("onceq_redis_up", "Whether the Redis of the records answered.", 0)
            return
        yield GaugeMetricFamily("onceq_redis_up", "Whether the Redis of the records answered.", 1)
        yield _by_label("onceq_queue_depth_tasks", "Unfinished tasks, by state.", "state", census.states)
        yield _by_label("onceq_workers", "Worker processes, by backend.", "backend", census.workers)
        yield GaugeMetricFamily("onceq_overdue_tasks", "Tasks that should have gone on by now.", census.overdue)
        yield GaugeMetricFamily("onceq_dead_letters", "Dead letters that are kept.", census.dead_letters)
        yield _seconds("overdue", "Since when the oldest overdue task is overdue.", census.overdue_ms)
        yield _seconds("lease_age", "For how long the oldest lease is held.", census.lease_ms)
        yield _seconds("queued_age", "Since when the oldest queued task waits.", census.queued_ms)


def text(take: Callable[[], Census]) -> str:
    """The metrics of one census, as Prometheus reads them."""
    return generate_latest(_registry(take)).decode()


def serve(take: Callable[[], Census], host: str, port: int, tell: Callable[[], None]) -> None:
    """Answer scrapes until the process ends.

    Args:
        tell: is called once scrapes are answered.

    Raises:
        OSError: the port cannot be had.
    """
    _, thread = start_http_server(port, addr=host, registry=_registry(take))
    tell()
    thread.join()


def _registry(take: Callable[[], Census]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(Records(take))
    return registry


def _by_label(name: str, documentation: str, label: str, values: Mapping[str, int]) -> Metric:
    made = GaugeMetricFamily(name, documentation, labels=(label,))
    for value, count in values.items():
        made.add_metric((value,), count)
    return made


def _seconds(name: str, documentation: str, ms: int) -> Metric:
    return GaugeMetricFamily(f"onceq_{name}_seconds", documentation, ms / 1000)
