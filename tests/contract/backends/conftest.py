"""Every combination of task system and broker, each with one worker that the tests of this folder share."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from queues.backends.memory import MemoryBackend
from tests.rabbit import rabbit_vhost
from tests.stage import Stage, memory_worker

__all__ = ["name", "rabbit_vhost", "stage"]

COMBINATIONS = {
    "memory": ("memory", "memory", 1),
    "celery+redis": ("celery", "redis", 2),
    "celery-threads+redis": ("celery threads", "redis", 3),
    "dramatiq+redis": ("dramatiq", "redis", 4),
    "celery+rabbitmq": ("celery", "rabbitmq", 5),
    "dramatiq+rabbitmq": ("dramatiq", "rabbitmq", 6),
}


def _marks(name: str) -> list[pytest.MarkDecorator]:
    # With `--dist loadgroup` one process runs all tests of a combination, with one worker.
    group = pytest.mark.xdist_group(name)
    return [group, pytest.mark.rabbitmq] if "rabbitmq" in name else [group]


@pytest.fixture(scope="session", params=[pytest.param(name, marks=_marks(name)) for name in COMBINATIONS])
def begun(request: pytest.FixtureRequest, valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A queue whose tasks a real worker runs."""
    kind, broker, database = COMBINATIONS[request.param]
    redis_url = f"{valkey_url.removesuffix('/0')}/{database}"
    broker_url = request.getfixturevalue("rabbit_vhost")() if broker == "rabbitmq" else redis_url
    with ExitStack() as stack:
        made = Stage(kind.partition(" ")[0], redis_url, broker_url)
        stack.callback(made.close)
        if isinstance(made.queue.backend, MemoryBackend):
            stack.enter_context(memory_worker(made.queue.backend))
        else:
            made.running = stack.enter_context(made.worker(kind, tmp_path_factory.mktemp("worker")))
        yield made


@pytest.fixture
def stage(begun: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The same, in its environment, which is the test's alone: other tests of the process have another."""
    monkeypatch.setenv("REDIS_URL", begun.redis_url)
    return begun


@pytest.fixture
def name() -> str:
    """A name that no other test uses: it makes the arguments, and so the work, new."""
    return uuid.uuid4().hex[:12]
