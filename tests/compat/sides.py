"""The two sides of a comparison: the same Celery program under Celery's workers and under the shim's."""

import itertools
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.stage import load_program
from tests.workers import Worker, has_logged

MODULES = {"celery": "celery", "shim": "compat.celery"}
ROOT = Path(__file__).parents[2]
databases = itertools.count()


def environment_of(side: str, redis_url: str, broker_url: str) -> dict[str, str]:
    """What a process of one side is told."""
    return {
        "COMPAT_SIDE": side,
        "C_FORCE_ROOT": "1",  # Celery refuses pickle to root, as which a container may run the tests
        "REDIS_URL": redis_url,
        "BROKER_URL": broker_url,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "programs")]),
    }


class Side:
    """The program of `programs/compat_program.py` as one side runs it, with a broker and results of its own.

    Args:
        name: `celery` or `shim`.
        redis_url: of the results and the marks.
        broker_url: of the queues.
        environment: more for its processes.
    """

    def __init__(self, name: str, redis_url: str, broker_url: str, environment: dict[str, str] | None = None) -> None:
        self.name = name
        self.environment = {**environment_of(name, redis_url, broker_url), **(environment or {})}
        self.ledger = redis.Redis.from_url(redis_url)
        with pytest.MonkeyPatch.context() as patch:
            for key, value in self.environment.items():
                patch.setenv(key, value)
            self.program: Any = load_program("compat_program")
        # Tasks are found by the names that the worker's copy of the module gives them.
        self.tasks: Any = _Named(self.program)

    @contextmanager
    def worker(self, folder: Path, *arguments: str, concurrency: int = 2) -> Iterator[Worker]:
        """A worker process of this side."""
        command = [MODULES[self.name], "-A", "compat_program", "worker", "-l", "INFO", "-c", str(concurrency)]
        quiet = ["--without-gossip", "--without-mingle", "-n", f"{uuid.uuid4().hex[:8]}@%h"]
        log = folder / f"{self.name}-{uuid.uuid4().hex[:6]}.log"
        with Worker([*command, *quiet, *arguments], self.environment, log, has_logged) as worker:
            yield worker

    def marks(self, name: str) -> list[str]:
        """What the runs under a name noted, in order."""
        found: Any = self.ledger.lrange(f"marks:{name}", 0, -1)
        return [mark.decode() for mark in found]

    def close(self) -> None:
        """Close the connections of this process."""
        self.program.app.close()
        self.ledger.close()


class _Named:
    """The program's tasks as signatures are made of them: under `compat_program.<name>`."""

    def __init__(self, program: Any) -> None:
        self._program = program
        for task in list(program.app.tasks.values()):
            if task.__module__ == program.__name__:
                renamed = f"compat_program.{task.__name__}"
                program.app.tasks.pop(task.name)
                task.name = renamed
                program.app.tasks[renamed] = task

    def __getattr__(self, name: str) -> Any:
        return self._program.app.tasks[f"compat_program.{name}"]
