"""A project's own tests: `celery.contrib.testing` with the shim, its broker in memory or on Redis; and eager mode."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from celery import _state, chain
from celery.contrib.testing.app import TestApp, setup_default_app
from celery.contrib.testing.worker import start_worker

from compat.celery import install

WAIT_S = 60

# Celery's own result backend; the worker is in this process.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")


@pytest.fixture(params=["memory", "redis"])
def app(request: pytest.FixtureRequest, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An application as the fixture `celery_app` makes it, installed; without the tasks that other tests shared."""
    monkeypatch.setattr(_state, "_on_app_finalizers", set())
    # The worker sets the level of this process's logging; tests of other files read warnings.
    monkeypatch.setattr(logging.root, "level", logging.root.level)
    url = {"memory": ("memory://", "cache+memory://"), "redis": (valkey_url, valkey_url)}[request.param]
    made = TestApp(config={"broker_url": url[0], "result_backend": url[1]})
    with setup_default_app(made):
        install(made)
        made.set_current()
        made.set_default()
        yield made


@pytest.fixture
def double(app: Any) -> Any:
    """A task."""

    @app.task(shared=False, name="double")
    def double(x: int) -> int:
        return 2 * x

    return double


def test_an_embedded_worker_runs_tasks(app: Any, double: Any) -> None:
    with start_worker(app, perform_ping_check=False, shutdown_timeout=60):
        assert double.delay(21).get(timeout=WAIT_S) == 42
        assert chain(double.s(1), double.s(), double.s()).apply_async().get(timeout=WAIT_S) == 8


def test_eager_mode_needs_no_worker(app: Any, double: Any) -> None:
    app.conf.task_always_eager = True

    assert double.delay(4).get() == 8
