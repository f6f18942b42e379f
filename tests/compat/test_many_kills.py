"""Thousands of tasks acknowledged late, through kills of the whole worker: none is lost.

`COMPAT_TASKS` and `COMPAT_KILLS` make it longer: 10,000 and 20 take some minutes.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.sides import Side
from tests.servers import ValkeyServer
from tests.stage import eventually

TASKS = int(os.environ.get("COMPAT_TASKS", "1000"))
KILLS = int(os.environ.get("COMPAT_KILLS", "4"))
WAIT_S = 120
DATABASES = {"redis": 195, "rabbitmq": 196}


@pytest.fixture(params=["redis", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def shim(request: pytest.FixtureRequest, roomy_valkey: ValkeyServer) -> Iterator[Side]:
    """The shim's side, which gives a dead worker's messages to another after three seconds."""
    url = f"{roomy_valkey.url.removesuffix('/0')}/{DATABASES[request.param]}"
    broker_url = request.getfixturevalue("rabbit_vhost")() if request.param == "rabbitmq" else url
    made = Side("shim", url, broker_url, {"COMPAT_REDELIVERY_S": "3"})
    yield made
    made.close()


@pytest.mark.slow
def test_no_task_is_lost_through_kills(shim: Side, name: str, folder: Path) -> None:
    for number in range(TASKS):
        shim.tasks.tally.apply_async((name, number), ignore_result=True)

    def done() -> int:
        return int(shim.ledger.scard(f"tally:{name}"))  # type: ignore[arg-type] # redis-py: also awaitable

    for kill in range(1, KILLS + 1):
        with shim.worker(folder, concurrency=2) as worker:
            eventually(lambda least=kill * TASKS // (KILLS + 2): done() >= least, within_s=WAIT_S)
            worker.kill()
    with shim.worker(folder, concurrency=2):
        eventually(lambda: done() == TASKS, within_s=WAIT_S)
