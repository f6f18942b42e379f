"""`base=IdempotentTask` on the shim: from the same records as on Celery, so that a task sent to both runs once."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import chord

from tests.compat.sides import MODULES, environment_of
from tests.servers import ValkeyServer
from tests.stage import eventually, load_program
from tests.workers import Worker, has_logged

WAIT_S = 40


@pytest.fixture(scope="module")
def url(roomy_valkey: ValkeyServer) -> str:
    """A database that no other module uses."""
    return f"{roomy_valkey.url.removesuffix('/0')}/198"


@pytest.fixture(scope="module")
def apps(url: str) -> Iterator[dict[str, Any]]:
    """The application on Celery and the one on the shim, as producers."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in environment_of("shim", url, url).items():
            patch.setenv(key, value)
        program = load_program("compat_once")
        made = {side: program.make(side) for side in MODULES}
        yield made
        for app in made.values():
            app.close()


@contextmanager
def worker(side: str, url: str, folder: Path) -> Iterator[Worker]:
    """A worker of one side."""
    command = [MODULES[side], "-A", "compat_once", "worker", "-c", "2", "-l", "INFO", "-n", f"{side}@%h"]
    quiet = ["--without-mingle", "--without-gossip"]
    with Worker([*command, *quiet], environment_of(side, url, url), folder / f"{side}.log", has_logged) as started:
        yield started


def marks(url: str, order: str) -> list[str]:
    """Which side ran the order, each time."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        found = client.lrange(f"marks:{order}", 0, -1)
        assert isinstance(found, list)
        return found


def test_a_task_sent_to_celery_and_to_the_shim_runs_once(
    apps: dict[str, Any], url: str, name: str, tmp_path: Path
) -> None:
    # With an option of its own each message is published, and answered by the worker that gets it.
    results = [apps[side].tasks["charge"].apply_async((name, 1.0), priority=0) for side in ("celery", "shim") * 3]

    with ExitStack() as stack:
        for side in MODULES:
            stack.enter_context(worker(side, url, tmp_path))

        assert {result.get(timeout=WAIT_S) for result in results} == {f"charged {name}"}
    assert len(marks(url, name)) == 1


def test_a_plain_duplicate_is_answered_where_it_is_sent(
    apps: dict[str, Any], url: str, name: str, tmp_path: Path
) -> None:
    charge = apps["shim"].tasks["charge"]

    first, second = charge.delay(name), charge.delay(name)

    assert first.id == second.id
    with worker("shim", url, tmp_path):
        assert first.get(timeout=WAIT_S) == f"charged {name}"
        assert charge.delay(name).get(timeout=WAIT_S) == f"charged {name}"
    assert marks(url, name) == ["shim"]


def test_retries_and_canvases_stay_celerys(apps: dict[str, Any], url: str, name: str, tmp_path: Path) -> None:
    charge = apps["shim"].tasks["charge"]

    with worker("shim", url, tmp_path):
        assert charge.delay(f"flaky {name}").get(timeout=WAIT_S) == f"charged flaky {name}"
        header = [charge.s(f"{name} {i % 2}") for i in range(4)]
        body = charge.signature((f"{name} body",), immutable=True)
        assert chord(header, body).apply_async().get(timeout=WAIT_S) == f"charged {name} body"

    assert marks(url, f"flaky {name}") == ["shim", "shim"]
    assert [len(marks(url, f"{name} {i}")) for i in range(2)] == [1, 1]


def test_a_worker_killed_in_the_middle_is_taken_over_by_the_other_side(
    apps: dict[str, Any], url: str, name: str, tmp_path: Path
) -> None:
    with worker("shim", url, tmp_path) as killed:
        result = apps["shim"].tasks["charge"].delay(name, 3.0)
        eventually(lambda: marks(url, name), within_s=WAIT_S)
        killed.kill()

    with worker("celery", url, tmp_path):
        eventually(lambda: marks(url, name) == ["shim", "celery"], within_s=WAIT_S)
        assert result.get(timeout=WAIT_S) == f"charged {name}"
