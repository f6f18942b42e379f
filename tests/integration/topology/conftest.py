"""Stages whose records are elsewhere than their queues and marks."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.stage import Stage
from tests.workers import Kind, Worker

Begun = Callable[..., tuple[Stage, Worker]]


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return uuid.uuid4().hex[:12]


@pytest.fixture
def begun(tmp_path: Path, valkey_url: str, key_prefix: str) -> Iterator[Begun]:
    """Starts a worker with its records at a URL; its queues are in a plain Valkey, where none are named."""
    with ExitStack() as stack:
        # A prefix is of the records alone: both task systems have their queues in databases of their own.
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        environment.setenv("QUEUES_PREFIX", key_prefix)

        def start(kind: Kind, redis_url: str, broker_url: str | None = None) -> tuple[Stage, Worker]:
            backend = kind.partition(" ")[0]
            elsewhere = f"{valkey_url.removesuffix('/0')}/{14 if backend == 'celery' else 15}"
            stage = Stage(backend, redis_url, broker_url or elsewhere, marks_url=elsewhere)
            stack.callback(stage.close)
            return stage, stack.enter_context(stage.worker(kind, tmp_path, concurrency=2))

        yield start
