"""Servers and names that the tests share: one server a pytest process, one namespace a test."""

import faulthandler
import os
import sys
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from _pytest.nodeid import NodeId
from hypothesis import HealthCheck, settings

from queues import Handle
from tests.cluster import ValkeyCluster
from tests.servers import MongoServer, ValkeyServer

# A machine that is busy with other tests is no failure.
settings.register_profile("untimed", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
RESULT_WITHIN_S = 60.0
"""How long a test that says nothing else waits for an outcome; a caller of the library waits ten seconds."""
for _result in (Handle.result, Handle.result_async):
    _result.__defaults__ = (RESULT_WITHIN_S,)

# Each of the many processes that the tests start would compile our modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

TOLD_LINES = 12
ENDS_WITHIN_S = 60


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the groups of `--dist loadgroup` where pytest reads them.

    xdist 3.8 writes `_nodeid`, which pytest 9.2 no longer reads: without this each process runs some tests of each
    group, and starts the servers and workers of all of them.
    """
    for item in items:
        grouped = getattr(item, "_nodeid", item.nodeid)
        if grouped != item.nodeid:
            item._id = NodeId.parse(grouped)


class _Failures:
    """Tells a failure when it happens: a run that is cut short has then told what it found."""

    def __init__(self, terminal: Any) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print the name, and the end of what went wrong."""
        if report.failed:
            self._terminal.write_line(f"\nFAILED {report.nodeid} ({report.when}, after {report.duration:.0f} s)")
            self._terminal.write_line("\n".join(report.longreprtext.splitlines()[-TOLD_LINES:]))


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Tell failures at once, in the process that has the terminal."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Failures(terminal))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Let no thread that a test left keep this process from ending: say which one it is."""
    left = [t.name for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]
    if left:
        sys.stderr.write(f"tests left these threads: {', '.join(left)}\n")
        faulthandler.dump_traceback_later(ENDS_WITHIN_S, exit=True)


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real Valkey, one for each xdist worker. Tests in one worker share it: use `key_prefix`."""
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server.url


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    """A cluster of three masters, one for each xdist worker that needs one: use `key_prefix`."""
    with ValkeyCluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(scope="session")
def mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the embedded MongoDB subset, one for each xdist worker: use `database_name`."""
    with MongoServer(tmp_path_factory.mktemp("mongo")) as server:
        yield server.url


@pytest.fixture
def key_prefix() -> str:
    """A prefix for Redis keys that no other test uses; ends with a colon."""
    return f"test-{uuid.uuid4().hex[:12]}:"


@pytest.fixture
def database_name() -> str:
    """A MongoDB database name that no other test uses."""
    return f"test_{uuid.uuid4().hex[:12]}"
