"""`base=IdempotentTask` on the shim: from the same records as on Celery, so that a task sent to both runs once."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import chord

from tests.compat.sides import MODULES, environment_of
from tests.servers import ValkeyServer
from tests.stage import eventually, load_program
from tests.workers import Worker, has_logged

WAIT_S = 60
DATABASES = {"redis": 198, "rabbitmq": 194}
ORDERS = 40


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the records and the results are, and the queues."""

    redis: str
    broker: str


@pytest.fixture(scope="module", params=["redis", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def urls(request: pytest.FixtureRequest, roomy_valkey: ValkeyServer) -> Urls:
    """A database and a virtual host that no other module uses."""
    url = f"{roomy_valkey.url.removesuffix('/0')}/{DATABASES[request.param]}"
    return Urls(url, request.getfixturevalue("rabbit_vhost")() if request.param == "rabbitmq" else url)


@pytest.fixture(scope="module")
def apps(urls: Urls) -> Iterator[dict[str, Any]]:
    """The application on Celery and the one on the shim, as producers."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in environment_of("shim", urls.redis, urls.broker).items():
            patch.setenv(key, value)
        program = load_program("compat_once")
        made = {side: program.make(side) for side in MODULES}
        yield made
        for app in made.values():
            app.close()


@contextmanager
def worker(side: str, urls: Urls, folder: Path, **more: str) -> Iterator[Worker]:
    """A worker of one side."""
    command = [MODULES[side], "-A", "compat_once", "worker", "-c", "2", "-l", "INFO", "-n", f"{side}@%h"]
    quiet = ["--without-mingle", "--without-gossip"]
    environment = {**environment_of(side, urls.redis, urls.broker), **more}
    log = folder / f"{side}-{uuid.uuid4().hex[:6]}.log"
    with Worker([*command, *quiet], environment, log, has_logged) as started:
        yield started


def marks(urls: Urls, order: str) -> list[str]:
    """Which side ran the order, each time."""
    with redis.Redis.from_url(urls.redis, decode_responses=True) as client:
        found = client.lrange(f"marks:{order}", 0, -1)
        assert isinstance(found, list)
        return found


def test_a_task_sent_to_celery_and_to_the_shim_runs_once(
    apps: dict[str, Any], urls: Urls, name: str, tmp_path: Path
) -> None:
    # With an option of its own each message is published, and answered by the worker that gets it.
    results = [apps[side].tasks["charge"].apply_async((name, 1.0), priority=0) for side in ("celery", "shim") * 3]

    with ExitStack() as stack:
        for side in MODULES:
            stack.enter_context(worker(side, urls, tmp_path))

        assert {result.get(timeout=WAIT_S) for result in results} == {f"charged {name}"}
    assert len(marks(urls, name)) == 1


def test_a_plain_duplicate_is_answered_where_it_is_sent(
    apps: dict[str, Any], urls: Urls, name: str, tmp_path: Path
) -> None:
    charge = apps["shim"].tasks["charge"]

    first, second = charge.delay(name), charge.delay(name)

    assert first.id == second.id
    with worker("shim", urls, tmp_path):
        assert first.get(timeout=WAIT_S) == f"charged {name}"
        assert charge.delay(name).get(timeout=WAIT_S) == f"charged {name}"
    assert marks(urls, name) == ["shim"]


def test_retries_and_canvases_stay_celerys(apps: dict[str, Any], urls: Urls, name: str, tmp_path: Path) -> None:
    charge = apps["shim"].tasks["charge"]

    with worker("shim", urls, tmp_path):
        assert charge.delay(f"flaky {name}").get(timeout=WAIT_S) == f"charged flaky {name}"
        header = [charge.s(f"{name} {i % 2}") for i in range(4)]
        body = charge.signature((f"{name} body",), immutable=True)
        assert chord(header, body).apply_async().get(timeout=WAIT_S) == f"charged {name} body"

    assert marks(urls, f"flaky {name}") == ["shim", "shim"]
    assert [len(marks(urls, f"{name} {i}")) for i in range(2)] == [1, 1]


@pytest.mark.parametrize(("killed_side", "other"), [("shim", "celery"), ("celery", "shim")])
def test_a_worker_killed_in_the_middle_is_taken_over_by_the_other_side(
    apps: dict[str, Any], urls: Urls, name: str, tmp_path: Path, killed_side: str, other: str
) -> None:
    with worker(killed_side, urls, tmp_path) as killed:
        result = apps[killed_side].tasks["charge"].delay(name, 3.0)
        eventually(lambda: marks(urls, name), within_s=WAIT_S)
        killed.kill()

    with worker(other, urls, tmp_path):
        eventually(lambda: marks(urls, name) == [killed_side, other], within_s=WAIT_S)
        assert result.get(timeout=WAIT_S) == f"charged {name}"


@pytest.mark.parametrize(("old", "new"), [("celery", "shim"), ("shim", "celery")])
def test_a_move_under_load_loses_nothing_and_runs_nothing_twice(
    apps: dict[str, Any], urls: Urls, name: str, tmp_path: Path, old: str, new: str
) -> None:
    def send(number: int, *sides: str) -> list[Any]:
        return [apps[s].tasks["charge"].apply_async((f"{name} {number}", 0.02), priority=0) for s in sides]

    with ExitStack() as stack:
        ending = stack.enter_context(worker(old, urls, tmp_path, READS_CELERYS="1"))
        results = [result for number in range(ORDERS) for result in send(number, old)]
        eventually(lambda: marks(urls, f"{name} 0"), within_s=WAIT_S)
        stack.enter_context(worker(new, urls, tmp_path, READS_CELERYS="1"))
        # Some orders are sent a second time, by the other producers, while both have workers.
        results += [result for number in range(ORDERS // 2, 2 * ORDERS) for result in send(number, new, old)]
        eventually(lambda: marks(urls, f"{name} {ORDERS}"), within_s=WAIT_S)
        # Warm: a shim worker that is the last to go ends what is in its own queues first.
        eventually(lambda: old == "celery" or all(result.ready() for result in results), within_s=WAIT_S)
        ending.stop()

        assert {result.get(timeout=WAIT_S) for result in results} == {f"charged {name} {i}" for i in range(2 * ORDERS)}
    assert [len(marks(urls, f"{name} {number}")) for number in range(2 * ORDERS)] == [1] * (2 * ORDERS)
