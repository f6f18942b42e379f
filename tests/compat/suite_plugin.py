"""A pytest plugin for `celery_suite`: Celery's own fixtures, with an application and a worker process of ours.

`celery.contrib.testing` makes the application and starts the worker; both are replaced here, by name, before Celery's
conftest takes them.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery.contrib.testing import app as testing_app
from celery.contrib.testing import worker as testing_worker
from celery.utils.nodenames import anon_nodename

from compat.celery import install

SIDE = os.environ["SUITE_SIDE"]
FOLDER = Path(os.environ["SUITE_FOLDER"])
TIMEOUT_S = int(os.environ["SUITE_TIMEOUT_S"])
MODULES = {"shim": "compat.celery", "real": "celery"}
START_S = 60
make_app = testing_app.TestApp


def shim_app(*args: Any, **kwargs: Any) -> Any:
    """Celery's application for tests, on Dramatiq when the shim is tested."""
    made = make_app(*args, **kwargs)
    return install(made) if SIDE == "shim" else made


@contextmanager
def worker_process(app: Any, pool: str = "prefork", concurrency: int = 1, **_: Any) -> Iterator[Any]:
    """A worker as a process of its own, in place of the embedded one."""
    hostname = anon_nodename()
    command = [sys.executable, "-m", MODULES[SIDE], "-A", "tests.compat.suite_app", "worker", "-P", pool]
    command += ["-c", str(concurrency), "-n", hostname, "-l", "INFO", "--without-mingle", "--without-gossip"]
    settings = {key: app.conf[key] for key in ("broker_url", "result_backend", "result_extended")}
    environment = {**os.environ, "SUITE_SETTINGS": json.dumps(settings)}
    with (FOLDER / "worker.log").open("wb") as log:
        process = subprocess.Popen([*command, "--without-heartbeat"], env=environment, stdout=log, stderr=log)
        try:
            _wait_until_ready(app, process, hostname)
            yield SimpleNamespace(hostname=hostname, app=app)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_ready(app: Any, process: subprocess.Popen[bytes], hostname: str) -> None:
    deadline_s = time.monotonic() + START_S
    while not app.control.ping(destination=[hostname], timeout=0.5):
        if process.poll() is not None or time.monotonic() > deadline_s:
            text = f"the worker is not there:\n{(FOLDER / 'worker.log').read_text('utf-8', 'replace')[-4000:]}"
            raise RuntimeError(text)


testing_app.TestApp = shim_app
if not os.environ["SUITE_EMBEDDED"]:
    testing_worker.start_worker = worker_process


def pytest_configure(config: pytest.Config) -> None:
    """Know the markers of plugins that are not needed."""
    for marker in ("flaky", "timeout", "celery"):
        config.addinivalue_line("markers", f"{marker}: of a plugin that is not installed")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """End a test that hangs."""

    def give_up(*_: object) -> None:
        text = f"{item.nodeid} took more than {TIMEOUT_S} s"
        raise TimeoutError(text)

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(TIMEOUT_S)
    yield
    signal.alarm(0)


worst: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what came of each test."""
    if report.when == "call" or report.outcome != "passed":
        outcome = "skipped" if hasattr(report, "wasxfail") else report.outcome
        if worst.get(report.nodeid) not in ("failed", "skipped"):
            worst[report.nodeid] = outcome


def pytest_sessionfinish() -> None:
    """Leave the outcomes, and the worker's log, where they can be found."""
    (FOLDER / "outcomes").write_text("".join(json.dumps(pair) + "\n" for pair in worst.items()))
    keep = os.environ.get("SUITE_WORKER_LOG")
    if keep and (FOLDER / "worker.log").exists():
        Path(keep).write_bytes((FOLDER / "worker.log").read_bytes())
