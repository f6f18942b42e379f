"""The two sides of a comparison: the same Celery program under Celery's workers and under the shim's."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.stage import eventually, load_program
from tests.workers import Worker, has_logged

MODULES = {"celery": "celery", "shim": "compat.celery"}
ROOT = Path(__file__).parents[2]
REACHED_S = 60


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
    """A program of `tests/programs` as one side runs it, with a broker and results of its own.

    Args:
        name: `celery` or `shim`.
        redis_url: of the results and the marks.
        broker_url: of the queues.
        environment: more for its processes.
        program: the module's name.
    """

    def __init__(
        self,
        name: str,
        redis_url: str,
        broker_url: str,
        environment: dict[str, str] | None = None,
        program: str = "compat_program",
    ) -> None:
        self.name = name
        self.module = program
        self.environment = {**(environment or {}), **environment_of(name, redis_url, broker_url)}
        self.ledger = redis.Redis.from_url(redis_url)
        with pytest.MonkeyPatch.context() as patch:
            for key, value in self.environment.items():
                patch.setenv(key, value)
            self.program: Any = load_program(program)
        # Tasks are found by the names that the worker's copy of the module gives them.
        self.tasks: Any = _Named(self.program, program)

    def twin(self, name: str | None = None, **environment: str) -> "Side":
        """Another copy of the program on the same servers; of this side, or of the one named."""
        told = {**self.environment, **environment}
        return Side(name or self.name, told["REDIS_URL"], told["BROKER_URL"], told, self.module)

    @contextmanager
    def worker(self, folder: Path, *arguments: str, concurrency: int = 2) -> Iterator[Worker]:
        """A worker process of this side."""
        command = [MODULES[self.name], "-A", self.module, "worker", "-l", "INFO", "-c", str(concurrency)]
        quiet = ["--without-gossip", "--without-mingle", "-n", f"{uuid.uuid4().hex[:8]}@%h"]
        log = folder / f"{self.name}-{uuid.uuid4().hex[:6]}.log"
        others = set(self._connections())
        with Worker([*command, *quiet, *arguments], self.environment, log, has_logged) as worker:
            yield worker
        # Redis gives the next message to a reader of which it has not noticed that it is dead, and Celery loses it.
        eventually(lambda: not any(waits for address, waits in self._connections().items() if address not in others))

    def _connections(self) -> dict[str, bool]:
        """Those to this side's database in Redis, and which of them wait in a blocking command."""
        database = str(self.ledger.get_connection_kwargs()["db"])
        clients: Any = self.ledger.client_list()
        return {each["addr"]: "b" in each["flags"] for each in clients if each["db"] == database}

    def marks(self, name: str) -> list[str]:
        """What the runs under a name noted, in order."""
        found: Any = self.ledger.lrange(f"marks:{name}", 0, -1)
        return [mark.decode() for mark in found]

    def close(self) -> None:
        """Close the connections of this process."""
        # Celery leaves the connection on which it waits for results to the garbage collector.
        waiting = getattr(self.program.app.backend, "result_consumer", None)
        if getattr(waiting, "_consumer", None) or getattr(waiting, "_pubsub", None):
            waiting.stop()
        self.program.app.close()
        self.ledger.close()


def reached(side: Side) -> list[dict[str, Any]]:
    """What the first worker answers to a ping: on Redis it subscribes about when it says that it is ready."""
    answers: list[dict[str, Any]] = []

    def is_answered() -> bool:
        answers.extend(side.program.app.control.ping(timeout=2, limit=1))
        return bool(answers)

    eventually(is_answered, within_s=REACHED_S)
    return answers


class _Named:
    """The program's tasks as signatures are made of them: under `<module>.<name>`."""

    def __init__(self, program: Any, module: str) -> None:
        self._program = program
        self._module = module
        for task in list(program.app.tasks.values()):
            if task.__module__ == program.__name__:
                renamed = f"{module}.{task.__name__}"
                program.app.tasks.pop(task.name)
                task.name = renamed
                program.app.tasks[renamed] = task

    def __getattr__(self, name: str) -> Any:
        return self._program.app.tasks[f"{self._module}.{name}"]
