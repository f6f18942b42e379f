"""The HTTP endpoint of a worker's metrics: the sum over its processes."""

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Metric, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from queues.observers.environment import FOLDER

logger = logging.getLogger(__name__)

AGAIN_AFTER_S = 1.0


class Processes(Collector):
    """The sum over the processes that keep their numbers in a folder, also over those that have ended.

    A gauge that only the living count in leaves out who has died, also by SIGKILL.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        for pid in {_pid(file) for file in Path(self._folder).glob("gauge_live*.db")}:
            if not _lives(pid):
                mark_process_dead(pid, self._folder)  # type: ignore[no-untyped-call] # prometheus_client
        # A process that was killed as it made its file left it empty.
        files = [str(file) for file in Path(self._folder).glob("*.db") if file.stat().st_size]
        yield from MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call] # prometheus_client


def registry() -> CollectorRegistry:
    """What a scrape of this process, or of the worker that it belongs to, is answered from."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return REGISTRY
    made = CollectorRegistry()
    made.register(Processes(folder))
    return made


def start(host: str, port: int) -> None:
    """Serve from a thread, as soon as the port is free; a worker works also without its endpoint."""
    threading.Thread(target=_serve, args=(host, port), name="onceq-metrics", daemon=True).start()


def _serve(host: str, port: int) -> None:
    has_complained = False
    while True:
        try:
            start_http_server(port, addr=host, registry=registry())
        except OSError as exc:
            if not has_complained:
                logger.error("metrics are not served at %s:%d, which is tried again: %s", host, port, exc)  # noqa: TRY400 - the text says it
            has_complained = True
            threading.Event().wait(AGAIN_AFTER_S)
        else:
            logger.info("metrics are served at http://%s:%d/metrics", host, port)
            return


def _pid(file: Path) -> int:
    return int(file.stem.rpartition("_")[2])


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
