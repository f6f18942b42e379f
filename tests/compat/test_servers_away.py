"""Servers that go away for a while: what a producer is told, and that nothing is lost.

`COMPAT_AWAY_S` makes the absence longer than these few seconds.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from kombu.exceptions import OperationalError

from tests.compat.sides import Side
from tests.proxy import Proxy
from tests.stage import eventually

PROGRAM = "compat_features"
WAIT_S = 60
AWAY_S = float(os.environ.get("COMPAT_AWAY_S", "3"))


def proxied(url: str, proxy: Proxy) -> str:
    """The URL, through the proxy."""
    return url.replace(f":{urlsplit(url).port}/", f":{proxy.port}/")


def leave(cut_off: Side) -> None:
    """Close its connections through the proxy; Celery forgets the pool of kombu, which others of the URL may use."""
    cut_off.program.app.pool.force_close_all()
    cut_off.close()


@pytest.fixture
def broker_proxy(side: Side) -> Iterator[Proxy]:
    """Stands before the broker."""
    port = urlsplit(side.environment["BROKER_URL"]).port
    assert port is not None
    with Proxy(port) as proxy:
        yield proxy


@pytest.mark.slow
def test_a_broker_that_was_away_loses_nothing(side: Side, name: str, folder: Path, broker_proxy: Proxy) -> None:
    if side.name == "celery" and side.environment["BROKER_URL"].startswith("redis"):
        pytest.skip("what Celery's worker held comes back after its visibility timeout, an hour by default")
    cut_off = side.twin(BROKER_URL=proxied(side.environment["BROKER_URL"], broker_proxy))
    with cut_off.worker(folder) as worker:
        results = [cut_off.tasks.late_sleep.delay(f"{name} {i}", 0.5) for i in range(8)]
        later = cut_off.tasks.note.apply_async((f"{name} later",), countdown=2)
        eventually(lambda: side.marks(f"{name} 1"), within_s=WAIT_S)
        broker_proxy.cut()
        with pytest.raises(OperationalError):
            cut_off.tasks.echo.apply_async((1,), retry=False)
        time.sleep(AWAY_S)
        broker_proxy.mend()

        assert [result.get(timeout=WAIT_S) for result in results] == ["done"] * 8
        assert later.get(timeout=WAIT_S) >= 1
        assert cut_off.tasks.echo.delay(2).get(timeout=WAIT_S) == 2
        assert worker.is_alive
    leave(cut_off)


def test_a_producer_waits_for_a_broker_that_is_away_for_a_moment(side: Side, broker_proxy: Proxy, folder: Path) -> None:
    cut_off = side.twin(BROKER_URL=proxied(side.environment["BROKER_URL"], broker_proxy))
    broker_proxy.cut()
    started_s = time.monotonic()

    with pytest.raises(OperationalError):
        cut_off.tasks.echo.apply_async(
            (1,), retry=True, retry_policy={"max_retries": 2, "interval_start": 0.2, "interval_step": 0}
        )

    assert time.monotonic() - started_s >= 0.4
    broker_proxy.mend()
    with side.worker(folder):
        assert cut_off.tasks.echo.delay(1).get(timeout=WAIT_S) == 1
    leave(cut_off)


def test_a_result_is_stored_when_its_server_is_back(side: Side, name: str, folder: Path) -> None:
    url = side.environment["REDIS_URL"]
    port = urlsplit(url).port
    assert port is not None
    with Proxy(port) as proxy:
        # Without the setting, Celery gives a result up at the first error of its server.
        away = side.twin(RESULTS_URL=proxied(url, proxy), COMPAT_SETTINGS="retry_results")
        with away.worker(folder, concurrency=1) as worker:
            assert away.tasks.echo.delay(1).get(timeout=WAIT_S) == 1
            result = side.tasks.late_sleep.delay(name, 1)
            eventually(lambda: side.marks(name) == ["begin"], within_s=WAIT_S)
            proxy.cut()
            eventually(lambda: side.marks(name) == ["begin", "end"], within_s=WAIT_S)
            time.sleep(AWAY_S)
            proxy.mend()

            assert result.get(timeout=WAIT_S) == "done"
            assert worker.is_alive
        assert side.marks(name) == ["begin", "end"]
        away.close()


@pytest.mark.parametrize("backend", ["file", "rpc"])
def test_results_in_other_places_come_back(side: Side, folder: Path, backend: str) -> None:
    (folder / "results").mkdir()
    elsewhere = side.twin(RESULTS_URL={"file": f"file://{folder}/results", "rpc": "rpc://"}[backend])

    with elsewhere.worker(folder):
        assert elsewhere.tasks.echo.delay("x").get(timeout=WAIT_S) == "x"
        with pytest.raises(IndexError):
            elsewhere.tasks.picky.delay("r", "index").get(timeout=WAIT_S)
    elsewhere.close()
