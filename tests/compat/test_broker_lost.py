"""A broker that goes away while tasks run: the shim loses nothing.

Celery's worker is not asked: on Redis it gets back what it held after its visibility timeout, an hour by default.
"""

from pathlib import Path

import pytest

from tests.compat.sides import Side
from tests.servers import ValkeyServer
from tests.stage import eventually

WAIT_S = 90


@pytest.mark.slow
def test_a_redis_that_restarts_loses_nothing(name: str, tmp_path: Path) -> None:
    with ValkeyServer(tmp_path / "broker", fsync="always") as broker, ValkeyServer(tmp_path / "results") as results:
        side = Side("shim", results.url, broker.url)
        with side.worker(tmp_path, concurrency=2):
            assert side.tasks.add.delay(1, 1).get(timeout=WAIT_S) == 2
            waiting = [side.tasks.late.delay(f"{name} {i}", 0.5) for i in range(6)]
            later = side.tasks.note.apply_async((f"{name} later",), countdown=8)
            eventually(lambda: side.marks(f"{name} 1"), within_s=WAIT_S)

            broker.kill()
            broker.start()

            assert [result.get(timeout=WAIT_S) for result in waiting] == ["done"] * 6
            assert later.get(timeout=WAIT_S) >= 1
            assert side.tasks.add.delay(2, 2).get(timeout=WAIT_S) == 4
        side.close()
