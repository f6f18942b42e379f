"""A queue with a worker of one combination of task system and broker, and what its tasks left behind."""

import importlib.util
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import redis

from queues import Queue, connect
from queues.backends.memory import MemoryBackend
from tests.workers import PROGRAMS, Kind, Worker, is_seen_by, worker_command

LEASE_S = 3.0
"""A machine that is busy for a second, or two, is not to end a lease."""


class Stage:
    """The tasks of `programs/onceq_program.py` on one backend and broker.

    Args:
        backend: `memory`, `celery` or `dramatiq`.
        redis_url: of the records.
        broker_url: of the queues; the same Redis, or a RabbitMQ.
        marks_url: of the marks that the tasks leave; None takes `redis_url`.
    """

    def __init__(
        self,
        backend: str,
        redis_url: str,
        broker_url: str,
        options: dict[str, str] | None = None,
        marks_url: str | None = None,
    ) -> None:
        self.backend = backend
        self.redis_url = redis_url
        self.broker_url = broker_url
        self._options = options or {}
        self.running: Worker | None = None
        self.marks_url = marks_url or redis_url
        self.ledger = redis.Redis.from_url(self.marks_url)
        self.program, self.queue = self.connect()

    def connect(self) -> tuple[Any, Queue]:
        """Another copy of the program, and a queue of its own, as another producer would have."""
        program = load_program("onceq_program")
        queue = connect(
            program.tasks, backend=self.backend, redis_url=self.redis_url, broker_url=self.broker_url, **self._options
        )
        return program, queue

    @property
    def environment(self) -> dict[str, str]:
        """What a worker process of this stage is told."""
        return {
            "QUEUES_BACKEND": self.backend,
            "REDIS_URL": self.redis_url,
            "MARKS_URL": self.marks_url,
            f"{self.backend.upper()}_BROKER_URL": self.broker_url,
            "PROGRAM_LEASE_S": str(LEASE_S),
            **({"CELERY_RESULT_BACKEND": self._options["result_backend"]} if self._options else {}),
        }

    def worker(
        self,
        kind: Kind,
        folder: Path,
        *,
        concurrency: int = 4,
        arguments: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Worker:
        """A worker of this stage, not yet started; `arguments` are more of its command line."""
        module = f"onceq_{kind.partition(' ')[0]}"
        command = [*worker_command(kind, module, concurrency=concurrency), *arguments]
        log_path = folder / f"worker-{uuid.uuid4().hex[:6]}.log"
        told = {**self.environment, **(environment or {})}
        return Worker(command, told, log_path, is_seen_by(self.queue))

    def effects(self, name: str) -> list[str]:
        """What each run of the task of that name noted, in order; without pid, token and attempt."""
        return [mark[0] for mark in self.marks(name)]

    def marks(self, name: str) -> list[tuple[str, int, int, int]]:
        """As `effects`, with the process id, the fencing token and the attempt of each."""
        found = [entry.decode().split() for entry in self.ledger.lrange(f"{self.program.EFFECTS}:{name}", 0, -1)]
        return [(text, int(pid), int(token), int(attempt)) for text, pid, token, attempt in found]

    def close(self) -> None:
        """Close every connection of this process."""
        self.queue.close()
        self.ledger.close()


@contextmanager
def memory_worker(backend: MemoryBackend) -> Iterator[None]:
    """A thread that runs what is due, as a worker process would."""
    stopping = threading.Event()

    def work() -> None:
        while not stopping.is_set():
            if backend.run_one() is None:
                stopping.wait(0.005)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def load_program(name: str) -> ModuleType:
    """A fresh copy of a program of `tests/programs`: it shares no state with another copy."""
    if str(PROGRAMS) not in sys.path:
        sys.path.append(str(PROGRAMS))  # a program may import its neighbours
    spec = importlib.util.spec_from_file_location(f"{name}_{uuid.uuid4().hex}", PROGRAMS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def eventually(is_true: Callable[[], object], *, within_s: float = 60.0) -> float:
    """Seconds until the claim held; fails the test when it did not within the deadline."""
    begun = time.monotonic()
    while not is_true():
        if time.monotonic() - begun > within_s:
            pytest.fail(f"not within {within_s} s")
        time.sleep(0.01)
    return time.monotonic() - begun
