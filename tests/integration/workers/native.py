"""An application of its own on a Celery or Dramatiq worker, and what its tasks noted."""

import importlib
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import celery._state
import pytest
import redis

from queues import DeadLetter, Tasks, connect
from tests.stage import eventually
from tests.workers import PROGRAMS, Kind, Worker, has_logged, worker_command


class NativeApp:
    """A module of `tests/programs`, imported here to send from, and run by a worker."""

    def __init__(self, module: ModuleType, url: str, worker: Worker) -> None:
        self.module = module
        self.url = url
        self.worker = worker
        self.client = redis.Redis.from_url(url)
        self._queue = connect(Tasks(namespace="observer"), backend="celery", redis_url=url)
        self.letters = self._queue.dead_letters

    def notes(self, name: str) -> list[str]:
        """What the runs of that name noted."""
        return [note.decode() for note in self.client.lrange(f"native:{name}", 0, -1)]

    def letter_of(self, message_id: str) -> DeadLetter:
        """The dead letter of a message, waited for."""

        def found() -> list[DeadLetter]:
            return [letter for letter in self.letters.list(limit=1_000) if letter.id == message_id]

        eventually(found, within_s=60)
        return found()[0]

    def close(self) -> None:
        """Close the connections of this process."""
        self._queue.close()
        self.client.close()


@contextmanager
def native_app(
    kind: Kind,
    name: str,
    url: str,
    folder: Path,
    *,
    environment: dict[str, str] | None = None,
    worker_environment: dict[str, str] | None = None,
) -> Iterator[NativeApp]:
    """The program of that name, with records, queues and results in the Redis of `url`, and a worker of it.

    Args:
        environment: of this process and of the worker's.
        worker_environment: of the worker's alone.
    """
    told = {"REDIS_URL": url, "CELERY_BROKER_URL": url, **(environment or {})}
    with pytest.MonkeyPatch.context() as patch:
        # Celery gives the tasks of one app to every later app of the process, as those of a reusable library.
        patch.setattr(celery._state, "_on_app_finalizers", set(celery._state._on_app_finalizers))
        for variable, value in told.items():
            patch.setenv(variable, value)
        patch.syspath_prepend(PROGRAMS)
        for fresh in (name, "native_marks"):
            patch.delitem(sys.modules, fresh, raising=False)
        module = importlib.import_module(name)
        log_path = folder / f"worker-{uuid.uuid4().hex[:6]}.log"
        with Worker(worker_command(kind, name), told | (worker_environment or {}), log_path, has_logged) as worker:
            app = NativeApp(module, url, worker)
            yield app
            app.close()
        for stale in (name, "native_marks"):
            sys.modules.pop(stale, None)
